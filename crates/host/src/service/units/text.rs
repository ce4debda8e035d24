//! What the units say.

use std::path::Path;

use super::{Error, MARK, STATE};
use crate::service::ready::GUEST_SECONDS;

/// A file to be installed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unit {
    /// Absolute.
    pub path: &'static str,
    pub text: String,
}

/// All that are installed; the first says for which state directory.
pub(super) const PATHS: [&str; 12] = [
    "/etc/systemd/system/microvm@.service",
    "/etc/systemd/system/microvm-tap-interfaces@.service",
    "/etc/systemd/system/microvm-macvtap-interfaces@.service",
    "/etc/systemd/system/microvm-pci-devices@.service",
    "/etc/systemd/system/microvm-virtiofsd@.service",
    "/etc/systemd/system/microvm-set-booted@.service",
    "/etc/systemd/system/microvm-network@.service",
    "/etc/systemd/system/microvm-dnsmasq@.service",
    "/etc/systemd/system/microvm-networks.target",
    "/etc/systemd/system/microvms.target",
    "/etc/sysusers.d/microvm.conf",
    "/etc/modules-load.d/microvm.conf",
];

/// Those that the host's start wants.
pub const TARGETS: [&str; 2] = ["microvms.target", "microvm-networks.target"];

/// How the host wants its VMs started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Start {
    /// Longest that a VM may take; while it starts it asks for more, where many start at once.
    pub timeout_secs: u32,
    /// Whether a VM has started when its guest says so, where it can, or when it runs.
    pub waits_for_guest: bool,
}

impl Default for Start {
    fn default() -> Self {
        Self {
            timeout_secs: 150,
            waits_for_guest: false,
        }
    }
}

impl Start {
    /// As a line that is read back from an installed unit.
    fn line(self) -> String {
        let Self {
            timeout_secs,
            waits_for_guest,
        } = self;
        match waits_for_guest {
            true => format!("Environment={GUEST_SECONDS}={timeout_secs}\n"),
            false => String::new(),
        }
    }

    /// What the text of a unit was made for.
    pub(super) fn of(text: &str) -> Self {
        let value = |key: &str| text.lines().find_map(|line| line.strip_prefix(key));
        let timeout = value("TimeoutStartSec=").and_then(|seconds| seconds.parse().ok());
        Self {
            timeout_secs: timeout.unwrap_or(Self::default().timeout_secs),
            waits_for_guest: value(&format!("Environment={GUEST_SECONDS}=")).is_some(),
        }
    }
}

/// The units for a state directory, which run a `microvm` binary.
pub fn units(state: &Path, program: &Path, start: Start) -> Result<Vec<Unit>, Error> {
    let (state, program) = (plain(state)?, plain(program)?);
    let helper = |what: &str, service: &str| helper(state, what, service);
    let texts = [
        vm(state, program, start),
        after_networks(&helper("Tap interfaces", &taps(state, program))),
        helper(
            "Macvtap interfaces",
            &oneshot("macvtap-up", Some("macvtap-down")),
        ),
        helper("PCI devices", &oneshot("pci-setup", None)),
        helper("Shares", VIRTIOFSD),
        booted(state, program),
        network(state, program),
        dnsmasq(state, program),
        NETWORKS.to_owned(),
        TARGET.to_owned(),
        SYSUSERS.to_owned(),
        MODULES.to_owned(),
    ];
    let unit = |(path, text): (&'static str, String)| Unit {
        path,
        text: format!("{MARK}{STATE}{state}\n{text}"),
    };
    Ok(PATHS.into_iter().zip(texts).map(unit).collect())
}

/// Paths that need no quoting, whatever reads them.
fn plain(path: &Path) -> Result<&str, Error> {
    let is_plain = |text: &&str| {
        text.starts_with('/')
            && text
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"/-_.".contains(&byte))
    };
    path.to_str().filter(is_plain).ok_or_else(|| Error::Path {
        path: path.to_owned(),
    })
}

/// `TimeoutStartSec` is from the first of the units that wait; while a VM starts, the program
/// asks for more. `RestartSteps` is of systemd 254, and earlier ones pass over it. What is wrong
/// with the definition, or missing, is so the next time too: see `docs/exit-codes.md`.
fn vm(state: &str, program: &str, start: Start) -> String {
    let (timeout, guest) = (start.timeout_secs, start.line());
    format!(
        "
[Unit]
Description=MicroVM %i
After=network.target microvm-set-booted@%i.service microvm-tap-interfaces@%i.service microvm-macvtap-interfaces@%i.service microvm-pci-devices@%i.service microvm-virtiofsd@%i.service
Requires=microvm-set-booted@%i.service microvm-tap-interfaces@%i.service microvm-macvtap-interfaces@%i.service microvm-pci-devices@%i.service microvm-virtiofsd@%i.service
PartOf=microvms.target
ConditionPathExists={state}/%i/current/bin/microvm-run
StartLimitIntervalSec=300
StartLimitBurst=6

[Service]
Type=notify
NotifyAccess=all
ExecStart={program} host run-unit --state-dir {state} %i
ExecStartPost=-+{program} host register --state-dir {state} %i
ExecStop={state}/%i/booted/bin/microvm-shutdown
ExecStop=-{program} host settle --state-dir {state} %i
ExecStopPost=-+{program} host unregister --state-dir {state} %i
WorkingDirectory={state}/%i
TimeoutStartSec={timeout}
TimeoutStopSec=90
KillMode=mixed
Restart=on-failure
RestartSec=1
RestartSteps=5
RestartMaxDelaySec=60
RestartPreventExitStatus=2 3 4 5
SyslogIdentifier=microvm@%i
User=microvm
Group=kvm
UMask=0027
LimitNOFILE=1048576
LimitMEMLOCK=infinity
RuntimeDirectory=microvm/%i
Environment=MICROVM_CACHE=%t/microvm/%i
{guest}{SANDBOX}ReadWritePaths={state}/%i

[Install]
WantedBy=microvms.target
"
    )
}

/// A hypervisor needs its devices, sockets and files. Executable memory that is writable cannot be
/// refused, for emulation makes its code as it goes.
const SANDBOX: &str = "\
NoNewPrivileges=yes
CapabilityBoundingSet=
AmbientCapabilities=
ProtectSystem=strict
ProtectHome=read-only
PrivateTmp=yes
ProtectProc=invisible
ProtectClock=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectControlGroups=yes
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK AF_VSOCK
LockPersonality=yes
KeyringMode=private
RemoveIPC=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@resources @privileged
SystemCallFilter=seccomp landlock_create_ruleset landlock_add_rule landlock_restrict_self
SystemCallFilter=sched_setaffinity sched_setscheduler sched_setattr setpriority setrlimit mbind set_mempolicy
SystemCallErrorNumber=EPERM
DevicePolicy=closed
DeviceAllow=/dev/kvm rw
DeviceAllow=/dev/net/tun rw
DeviceAllow=/dev/vhost-net rw
DeviceAllow=/dev/vhost-vsock rw
DeviceAllow=/dev/vfio/vfio rw
DeviceAllow=char-vfio rw
DeviceAllow=char-macvtap rw
DeviceAllow=char-usb_device rw
DeviceAllow=char-pts rw
DeviceAllow=/dev/ptmx rw
";

/// What a VM needs before it starts, of the package that was chosen for this start. It goes when
/// no VM needs it any more, however that ended.
fn helper(state: &str, what: &str, service: &str) -> String {
    let command = service
        .lines()
        .find_map(|line| line.strip_prefix("ExecStart=BIN/"))
        .unwrap_or_default();
    let service = service.replace("BIN/", &format!("{state}/%i/booted/bin/"));
    format!(
        "
[Unit]
Description={what} of MicroVM %i
After=microvm-set-booted@%i.service
Requires=microvm-set-booted@%i.service
PartOf=microvm@%i.service
StopWhenUnneeded=yes
ConditionPathExists={state}/%i/booted/bin/{command}

[Service]
{service}WorkingDirectory={state}/%i
SyslogIdentifier={command}@%i
"
    )
}

fn oneshot(up: &str, down: Option<&str>) -> String {
    let down = down.map_or_else(String::new, |down| format!("ExecStop=BIN/{down}\n"));
    format!("Type=oneshot\nRemainAfterExit=yes\nExecStart=BIN/{up}\n{down}")
}

/// Each comes onto the bridge of its network, where there is one. The variable is for the package's
/// own program, which does the same.
fn taps(state: &str, program: &str) -> String {
    let commands = oneshot("tap-up", Some("tap-down"));
    format!(
        "{commands}ExecStartPost={program} network attach --state-dir {state} %i\n\
         Environment=MICROVM_STATE_DIR={state}\n"
    )
}

/// `After` orders even where the network fails: then it is said which, and the VM does not start.
fn after_networks(unit: &str) -> String {
    let target = "microvm-networks.target";
    unit.replacen("\nAfter=", &format!("\nWants={target}\nAfter={target} "), 1)
}

/// Firewalls that empty all tables when they start come before it; one that is told to read its
/// rules anew has this do the same. Programs that manage interfaces are told of the bridge.
fn network(state: &str, program: &str) -> String {
    format!(
        "
[Unit]
Description=Network %i of MicroVMs
After=network-pre.target nftables.service firewalld.service ufw.service systemd-networkd.service NetworkManager.service systemd-resolved.service
Before=microvm-networks.target
Wants=microvm-dnsmasq@%i.service
ReloadPropagatedFrom=nftables.service
ConditionPathExists={state}/.microvm/networks/%i/network.json

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart={program} network set-up --state-dir {state} %i
ExecReload={program} network set-up --state-dir {state} %i
ExecStop={program} network take-down --state-dir {state} %i
SyslogIdentifier=microvm-network@%i

[Install]
WantedBy=microvm-networks.target
"
    )
}

/// It is started when its parent has bound its sockets.
fn dnsmasq(state: &str, program: &str) -> String {
    format!(
        "
[Unit]
Description=Addresses and names of the network %i of MicroVMs
After=microvm-network@%i.service
Requires=microvm-network@%i.service
PartOf=microvm-network@%i.service
Before=microvm-networks.target

[Service]
Type=forking
PIDFile=/run/microvm-networks/%i/pid
ExecStart={program} network serve --state-dir {state} %i
ExecReload=/bin/kill -HUP $MAINPID
Restart=on-failure
RestartSec=1
CapabilityBoundingSet=CAP_NET_ADMIN CAP_NET_BIND_SERVICE CAP_NET_RAW CAP_SETUID CAP_SETGID CAP_SETPCAP CAP_CHOWN CAP_DAC_OVERRIDE
NoNewPrivileges=yes
ProtectSystem=strict
ProtectHome=read-only
PrivateTmp=yes
PrivateDevices=yes
ProtectClock=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectControlGroups=yes
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK AF_PACKET
LockPersonality=yes
MemoryDenyWriteExecute=yes
SystemCallArchitectures=native
ReadWritePaths={state}/.microvm/networks/%i /run/microvm-networks/%i
"
    )
}

const NETWORKS: &str = "
[Unit]
Description=Networks of MicroVMs

[Install]
WantedBy=multi-user.target
";

const VIRTIOFSD: &str = "\
Type=notify
ExecStart=BIN/virtiofsd-run
Restart=on-failure
RestartSec=1
TimeoutStopSec=5
LimitNOFILE=1048576
";

fn booted(state: &str, program: &str) -> String {
    format!(
        "
[Unit]
Description=Version of MicroVM %i that runs
PartOf=microvm@%i.service
StopWhenUnneeded=yes
ConditionPathExists={state}/%i/current/bin/microvm-run

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart={program} host set-booted --state-dir {state} %i
ExecStop={program} host clear-booted --state-dir {state} %i
SyslogIdentifier=microvm-set-booted@%i
"
    )
}

const TARGET: &str = "
[Unit]
Description=MicroVMs
After=network.target

[Install]
WantedBy=multi-user.target
";

const SYSUSERS: &str = "\
g kvm -
u microvm -:kvm \"Hypervisors of MicroVMs\" /
";

const MODULES: &str = "\
tun
macvtap
vhost_net
vhost_vsock
";
