//! Modules, and the hand-over.

use std::ffi::CString;
use std::fs::File;
use std::path::Path;

use nix::errno::Errno;
use nix::kmod::{ModuleInitFlags, finit_module};

use crate::Result;
use crate::failure::Failure;

const MODULES: &str = "/modules";

/// Loads files of `/modules`, in this order; one that is there already is passed over.
pub fn load_modules(files: &[String]) -> Result<()> {
    let command_line = std::fs::read_to_string("/proc/cmdline").unwrap_or_default();
    for file in files {
        let cannot = |error: &dyn std::fmt::Display| {
            Failure::new(format!("Cannot load the kernel module `{file}`: {error}"))
        };
        let module = File::open(Path::new(MODULES).join(file)).map_err(|error| cannot(&error))?;
        let parameters = CString::new(parameters(file, &command_line)).unwrap_or_default();
        match finit_module(&module, &parameters, ModuleInitFlags::empty()) {
            // ENODEV: the driver found no device that it could serve, and says so by leaving.
            Ok(()) | Err(Errno::EEXIST | Errno::ENODEV) => {}
            Err(errno) => return Err(cannot(&errno)),
        }
    }
    Ok(())
}

/// What the kernel's command line says to a module, as modprobe(8) hands it on: the kernel itself
/// reads `NAME.PARAMETER` for built-in modules alone.
fn parameters(file: &str, command_line: &str) -> String {
    let underscores = |name: &str| name.replace('-', "_");
    let module = underscores(file.strip_suffix(".ko").unwrap_or(file));
    let parameters = words(command_line).filter_map(|word| {
        let (name, parameter) = word.split_once('.')?;
        (underscores(name) == module).then_some(parameter)
    });
    parameters.collect::<Vec<_>>().join(" ")
}

/// Words of a command line; a space in double quotes divides none.
fn words(command_line: &str) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    let divides = move |c: char| {
        quoted ^= c == '"';
        c.is_whitespace() && !quoted
    };
    command_line.split(divides).filter(|word| !word.is_empty())
}

/// Becomes the guest's init, with the arguments and the environment that the kernel gave us, and
/// these variables (`NAME=value`) besides.
pub fn become_init(init: &str, variables: Vec<CString>) -> Result<std::convert::Infallible> {
    let path = CString::new(init).map_err(|_| Failure::new(format!("`{init}` is no path")))?;
    let mut arguments = vec![path.clone()];
    arguments.extend(
        std::env::args()
            .skip(1)
            .filter_map(|argument| CString::new(argument).ok()),
    );
    let given =
        std::env::vars().filter_map(|(name, value)| CString::new(format!("{name}={value}")).ok());
    let environment: Vec<CString> = given.chain(variables).collect();
    nix::unistd::execve(&path, &arguments, &environment)
        .map_err(|errno| Failure::new(format!("Cannot start the guest's init `{init}`: {errno}")))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("i8042.ko", "noaux dumbkbd=1")]
    #[case("virtio-rng.ko", "a=\"b c\"")]
    #[case("virtio.ko", "")]
    fn a_module_gets_what_is_meant_for_it(#[case] file: &str, #[case] expected: &str) {
        let line = "console=ttyS0 i8042.noaux  i8042.dumbkbd=1 virtio_rng.a=\"b c\" a.b.c=d\n";
        assert_eq!(parameters(file, line), expected);
    }
}
