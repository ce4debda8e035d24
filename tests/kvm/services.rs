//! VMs as services of the KVM host: its units, its outside, its configuration.

use harness::{KvmHost, Outcome, check};

use crate::suite::Suite;

/// What stands for the outside, and knows no way to guests.
pub const OUTSIDE: &str = "192.0.2.2";

/// Installs the units. What is below a home may not be everybody's.
pub fn install(suite: &Suite, host: &KvmHost) -> Outcome {
    let microvm = suite.microvm();
    host.run(&format!(
        "d={microvm}; while [ \"$d\" != / ]; do d=$(dirname $d); chmod o+x $d 2>/dev/null || :; done"
    ))?;
    host.run(&format!("{microvm} host install"))?;
    Ok(())
}

/// Lets the units see `/tmp`, where the tests keep their packages, by drop-ins below `/run` or
/// `/etc`.
pub fn see_tmp(host: &KvmHost, below: &str) -> Outcome {
    host.run(&format!(
        "for unit in microvm@ microvm-dnsmasq@; do \
         mkdir -p {below}/$unit.service.d && printf '[Service]\\nPrivateTmp=no\\n' \
         > {below}/$unit.service.d/tests.conf; done; systemctl daemon-reload"
    ))?;
    Ok(())
}

/// A package below `/tmp` is installed with a warning, and its start is refused in words; drop-ins
/// of an earlier test are taken away.
pub fn what_units_do_not_see_is_told(
    suite: &Suite,
    host: &KvmHost,
    name: &str,
    package: &str,
) -> Outcome {
    if !package.starts_with("/tmp/") {
        println!("skipped: a package that units do not see: {package} is not below /tmp");
        return Ok(());
    }
    host.run("rm -f /run/systemd/system/microvm*/tests.conf; systemctl daemon-reload")?;
    let microvm = suite.microvm();
    let told = "has a `/tmp` of its own";
    for (line, code) in [
        (format!("create {name} -f {package}"), 0),
        (format!("start {name}"), 5),
        (format!("doctor 'vm {name}'"), 5),
    ] {
        let said = host.run(&format!("{microvm} {line} 2>&1; echo $?"))?;
        check!(
            said.contains(told) && said.ends_with(&format!("\n{code}")),
            "`{line}` says {said}"
        );
    }
    host.run(&format!("{microvm} remove --yes {name}"))?;
    Ok(())
}

/// Until the host starts again: a network of its own, on which a server says who connects. Found
/// there already, it is left as it is.
pub fn outside(host: &KvmHost) -> Outcome {
    if host.run("ip link show up0").is_ok() {
        return Ok(());
    }
    for line in [
        "ip netns add outside",
        "ip link add up0 type veth peer name eth0 netns outside",
        "ip addr add 192.0.2.1/30 dev up0 && ip link set up0 up",
        "ip -n outside addr add 192.0.2.2/30 dev eth0 && ip -n outside link set eth0 up",
        "systemd-run --quiet --property=NetworkNamespacePath=/run/netns/outside \
         socat TCP-LISTEN:7,fork 'SYSTEM:echo $$SOCAT_PEERADDR'",
    ] {
        host.run(line)?;
    }
    Ok(())
}

/// Writes the configuration; `text` may have no single quotes.
pub fn declare(host: &KvmHost, text: &str) -> Outcome {
    let text = text.replace('\n', "\\n");
    host.run(&format!(
        "mkdir -p /etc/microvm && printf '{text}' > /etc/microvm/host.toml"
    ))?;
    Ok(())
}
