//! A guest with two processors: its queues, its memory in huge pages, and its macvtap interface.

use std::time::{Duration, Instant};

use harness::nested::{By, PATIENCE};
use harness::{KvmHost, Nested, Outcome, check};

use crate::definition::{Guest, MACVTAP_LINK, MACVTAP_MAC, MEM_MIB};
use crate::hypervisors::Hypervisor;
use crate::suite::{self, Suite};

/// On the other end of the link, and what the guest is given; a macvtap does not reach its own link.
const HERE: &str = "10.76.0.1";
const THERE: &str = "10.76.0.2";

/// It asks the kernel for transparent ones, which need not come.
const TRANSPARENT: &str = "crosvm";

pub fn everything(suite: &Suite, hypervisor: &Hypervisor) -> Outcome {
    let place = suite.place(hypervisor, Guest::Wide, "wide")?;
    let _turn = suite.turn(Guest::Wide);
    let host = suite.host()?;
    let has_macvtap = hypervisor.has("macvtap interfaces");
    host.run(&format!(
        "ip link del {MACVTAP_LINK} 2>/dev/null; set -e; \
         ip link add {MACVTAP_LINK} type veth peer name wide1; \
         ip addr add {HERE}/24 dev wide1; ip link set {MACVTAP_LINK} up; ip link set wide1 up; \
         echo 1 > /proc/sys/vm/compact_memory; echo {} > /proc/sys/vm/nr_hugepages",
        MEM_MIB / 2 + 16
    ))?;
    let up = if has_macvtap { "macvtap-up" } else { "tap-up" };
    let package = place.package.display();
    suite::prepare(host, &place, &format!("{package}/bin/{up}"))?;
    let (mut guest, _) = suite.boot(&place, By::Run)?;
    let processors = guest.ssh("nproc")?;
    check!(processors == "2", "the guest has {processors} processors");
    queues(host, &guest)?;
    if hypervisor.has("huge pages") && hypervisor.name != TRANSPARENT {
        huge_pages(host)?;
    }
    if has_macvtap {
        macvtap(host, &guest)?;
    }
    let _ = guest.ssh("systemctl poweroff");
    guest.ends()?;
    if has_macvtap {
        host.run(&format!("{package}/bin/macvtap-down"))?;
    }
    host.run(&format!(
        "echo 0 > /proc/sys/vm/nr_hugepages; ip link del {MACVTAP_LINK}"
    ))?;
    suite::no_socket_is_left(host, &place)
}

/// As many as the TAP interface was made for.
fn queues(host: &KvmHost, guest: &Nested<'_>) -> Outcome {
    let name = Guest::Wide.name();
    let made = host.run(&format!("ip -d link show vm-{name}"))?;
    let expected = if made.contains("multi_queue") {
        "2"
    } else {
        "1"
    };
    let own = guest.ssh(
        "for i in /sys/class/net/e*; do \
         case $(cat $i/address) in *:4c:04) ls -d $i/queues/tx-* | wc -l; esac; done",
    )?;
    check!(
        own == expected,
        "the guest has {own} queues, its TAP interface is\n{made}"
    );
    println!("queues of {}: {own}", guest.place().unit);
    Ok(())
}

fn huge_pages(host: &KvmHost) -> Outcome {
    let seen = host.run("awk '/HugePages_(Total|Free|Rsvd)/ {print $2}' /proc/meminfo | xargs")?;
    let numbers: Vec<u64> = seen.split(' ').map_while(|it| it.parse().ok()).collect();
    let [total, free, reserved] = numbers[..] else {
        return Err(format!("the host's huge pages are `{seen}`").into());
    };
    // Of 2 MiB each; firecracker reserves none, and takes them as the guest touches them.
    check!(
        total - free + reserved >= MEM_MIB / 8,
        "total, free and reserved huge pages are {seen}"
    );
    Ok(())
}

/// The guest is reached over it, from the other end of its link.
fn macvtap(host: &KvmHost, guest: &Nested<'_>) -> Outcome {
    guest.ssh(&format!(
        "for i in /sys/class/net/e*; do case $(cat $i/address) in {MACVTAP_MAC}) \
         ip addr add {THERE}/24 dev ${{i##*/}}; ip link set ${{i##*/}} up; esac; done"
    ))?;
    let start = Instant::now();
    loop {
        let said = host.run(&format!(
            "timeout 5 socat -u TCP:{THERE}:22,bind={HERE} - | head -c 4"
        ));
        if matches!(&said, Ok(said) if said == "SSH-") {
            return Ok(());
        }
        check!(
            start.elapsed() < PATIENCE / 4,
            "over macvtap the guest says {said:?}"
        );
        std::thread::sleep(Duration::from_secs(1));
    }
}
