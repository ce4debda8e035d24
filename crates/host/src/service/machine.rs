//! VMs as machines of systemd-machined(8), through busctl(1), which takes all values as arguments.

use std::process::{Command, Stdio};

use super::Error;
use crate::program;

const SERVICE: &str = "org.freedesktop.machine1";
const OBJECT: &str = "/org/freedesktop/machine1";
const INTERFACE: &str = "org.freedesktop.machine1.Manager";

/// Makes a VM known by the process that runs it. Without a machined there is nobody to tell.
pub fn register(name: &str, machine_id: &str, leader: u32) -> Result<(), Error> {
    call(&registration(name, machine_id, leader))
}

/// Forgets it; one that machined does not know has been forgotten already.
pub fn terminate(name: &str) -> Result<(), Error> {
    // Only its registration: the processes of a service are not machined's.
    let _ = call(&["UnregisterMachine", "s", name].map(str::to_owned));
    Ok(())
}

/// `RegisterMachine(name, id, service, class, leader, root directory)`; see
/// org.freedesktop.machine1(5).
fn registration(name: &str, machine_id: &str, leader: u32) -> Vec<String> {
    let mut words = ["RegisterMachine", "sayssus", name]
        .map(str::to_owned)
        .to_vec();
    let digits = machine_id.as_bytes().chunks(2);
    let bytes: Vec<String> = digits
        .filter_map(|digits| std::str::from_utf8(digits).ok())
        .filter_map(|digits| u8::from_str_radix(digits, 16).ok())
        .map(|byte| byte.to_string())
        .collect();
    words.push(bytes.len().to_string());
    words.extend(bytes);
    words.extend(["microvm", "vm", &leader.to_string(), ""].map(str::to_owned));
    words
}

fn call(words: &[String]) -> Result<(), Error> {
    let Ok(program) = program::find("busctl") else {
        return Ok(());
    };
    let status = Command::new(&program)
        .args(["--system", "--quiet", "call", SERVICE, OBJECT, INTERFACE])
        .args(words)
        .stdin(Stdio::null())
        .status()
        .map_err(|source| Error::Run { program, source })?;
    match status.success() {
        true => Ok(()),
        false => Err(Error::Program {
            program: "busctl".to_owned(),
            status,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_is_told_of_as_its_interface_has_it() {
        let words = registration("web", "000102030405060708090a0b0c0d0eff", 42);
        let expected = "RegisterMachine sayssus web 16 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 255 \
                        microvm vm 42 ";
        assert_eq!(words.join(" "), expected);
    }
}
