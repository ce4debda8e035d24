//! The network of a guest without an init: loopback, and addresses by DHCP. IPv6 is the kernel's
//! own business: it takes router advertisements by itself.

mod client;
mod interface;
mod message;

use std::sync::mpsc;
use std::time::Duration;

use self::interface::Interface;

/// Brings up all interfaces; waits, within a bound, until one has an address.
pub fn bring_up(dhcp: bool, bound: Duration) {
    if let Err(error) = Interface::named("lo").up() {
        println!("microvm: the loopback interface is not up: {error}");
    }
    let (sender, receiver) = mpsc::channel();
    let mut asked = 0;
    for interface in Interface::ethernets() {
        if let Err(error) = interface.up() {
            println!("microvm: `{}` is not up: {error}", interface.name());
            continue;
        }
        if dhcp {
            let sender = sender.clone();
            std::thread::spawn(move || client::serve(&interface, &sender));
            asked += 1;
        }
    }
    if asked == 0 {
        return;
    }
    match receiver.recv_timeout(bound) {
        Ok(lease) => println!("microvm: {lease}"),
        Err(_) => {
            let seconds = bound.as_secs();
            println!("microvm: no address by DHCP in {seconds} s; it is asked for on");
        }
    }
}
