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
pub(super) const PATHS: [&str; 9] = [
    "/etc/systemd/system/microvm@.service",
    "/etc/systemd/system/microvm-tap-interfaces@.service",
    "/etc/systemd/system/microvm-macvtap-interfaces@.service",
    "/etc/systemd/system/microvm-pci-devices@.service",
    "/etc/systemd/system/microvm-virtiofsd@.service",
    "/etc/systemd/system/microvm-set-booted@.service",
    "/etc/systemd/system/microvms.target",
    "/etc/sysusers.d/microvm.conf",
    "/etc/modules-load.d/microvm.conf",
];

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
        helper("Tap interfaces", &oneshot("tap-up", Some("tap-down"))),
        helper(
            "Macvtap interfaces",
            &oneshot("macvtap-up", Some("macvtap-down")),
        ),
        helper("PCI devices", &oneshot("pci-setup", None)),
        helper("Shares", VIRTIOFSD),
        booted(state, program),
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
