//! Reads the arguments of `alioth boot`, each option as the crate itself describes it.

use std::collections::HashMap;
use std::ffi::CString;
use std::path::Path;

use alioth::board::{BoardConfig, CpuConfig};
use alioth::mem::MemConfig;
use alioth::vfio::GroupParam;
use alioth::virtio::dev::blk::BlkFileParam;
use alioth::virtio::dev::fs::vu::VuFsParam;
use alioth::virtio::dev::net::tap::NetTapParam;
use alioth::virtio::dev::vsock::UdsVsockParam;
use serde::Deserialize;

/// An argument that is not one of the hypervisor built in.
#[derive(Debug, thiserror::Error)]
pub enum Invalid {
    #[error("`{word}` is no command of the hypervisor built in; `boot` is")]
    Command { word: String },
    #[error(
        "`{option}` is no option of the hypervisor built in, which has {}; \
         `alioth.package` names a program with all of alioth's",
        KNOWN.join(", ")
    )]
    Unknown { option: String },
    #[error("`{option}` has no value")]
    NoValue { option: String },
    #[error("`{option}` is missing")]
    Missing { option: &'static str },
    #[error("`{value}` of `{option}` cannot be read")]
    Value {
        option: String,
        value: String,
        source: serde_aco::Error,
    },
    #[error("The command line has a zero byte in it")]
    Zero,
    #[error("`{value}` of `--object` is not `id_NAME,VALUE`")]
    Object { value: String },
}

const KNOWN: &[&str] = &[
    "--kernel",
    "--initramfs",
    "--cmdline",
    "--cpu",
    "--memory",
    "--entropy",
    "--blk",
    "--net",
    "--fs",
    "--vsock",
    "--vfio-group",
    "--object",
];

#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Net {
    Tap(NetTapParam),
}

#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Disk {
    File(BlkFileParam),
}

#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Share {
    Vu(VuFsParam),
}

#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Vsock {
    Uds(UdsVsockParam),
}

/// All of a guest.
#[derive(Debug, PartialEq, Eq)]
pub struct Config {
    pub board: BoardConfig,
    pub kernel: Box<Path>,
    pub initramfs: Box<Path>,
    pub cmdline: CString,
    pub entropy: bool,
    pub disks: Vec<Disk>,
    pub nets: Vec<Net>,
    pub shares: Vec<Share>,
    pub vsock: Option<Vsock>,
    pub vfio_groups: Vec<GroupParam>,
}

impl Config {
    pub fn parse(arguments: &[String]) -> Result<Self, Invalid> {
        let Some((command, rest)) = arguments.split_first() else {
            return Err(Invalid::Command {
                word: String::new(),
            });
        };
        if command != "boot" {
            let word = command.clone();
            return Err(Invalid::Command { word });
        }
        let options = Options::read(rest)?;
        let path = |option| Ok(Path::new(options.one(option)?).into());
        let cmdline = options.one("--cmdline")?;
        Ok(Self {
            board: BoardConfig {
                cpu: options.read_one::<CpuConfig>("--cpu")?,
                mem: options.read_one::<MemConfig>("--memory")?,
                coco: None,
            },
            kernel: path("--kernel")?,
            initramfs: path("--initramfs")?,
            cmdline: CString::new(cmdline).map_err(|_| Invalid::Zero)?,
            entropy: options.flags.contains(&"--entropy"),
            disks: options.read_all("--blk")?,
            nets: options.read_all("--net")?,
            shares: options.read_all("--fs")?,
            vsock: options.read_all("--vsock")?.pop(),
            vfio_groups: options.read_all("--vfio-group")?,
        })
    }
}

/// Options by name, and what `--object` said of the names in their values.
#[derive(Default)]
struct Options<'a> {
    flags: Vec<&'a str>,
    values: Vec<(&'a str, &'a str)>,
    objects: HashMap<&'a str, &'a str>,
}

impl<'a> Options<'a> {
    fn read(arguments: &'a [String]) -> Result<Self, Invalid> {
        let mut options = Self::default();
        let mut rest = arguments.iter().map(String::as_str);
        while let Some(option) = rest.next() {
            if !KNOWN.contains(&option) {
                let option = option.to_owned();
                return Err(Invalid::Unknown { option });
            }
            if option == "--entropy" {
                options.flags.push(option);
                continue;
            }
            let value = rest.next().ok_or_else(|| Invalid::NoValue {
                option: option.to_owned(),
            })?;
            if option == "--object" {
                options.add_object(value)?;
            } else {
                options.values.push((option, value));
            }
        }
        Ok(options)
    }

    fn add_object(&mut self, value: &'a str) -> Result<(), Invalid> {
        let invalid = || Invalid::Object {
            value: value.to_owned(),
        };
        let (id, object) = value.split_once(',').ok_or_else(invalid)?;
        if !id.starts_with("id_") || self.objects.insert(id, object).is_some() {
            return Err(invalid());
        }
        Ok(())
    }

    /// The last one wins, as the user's own come last.
    fn one(&self, option: &'static str) -> Result<&'a str, Invalid> {
        let mut values = self.values.iter().rev();
        let found = values.find(|(name, _)| *name == option);
        found
            .map(|(_, value)| *value)
            .ok_or(Invalid::Missing { option })
    }

    fn read_one<T: Deserialize<'a>>(&self, option: &'static str) -> Result<T, Invalid> {
        self.value(option, self.one(option)?)
    }

    fn read_all<T: Deserialize<'a>>(&self, option: &'static str) -> Result<Vec<T>, Invalid> {
        let values = self.values.iter().filter(|(name, _)| *name == option);
        values.map(|(_, value)| self.value(option, value)).collect()
    }

    fn value<T: Deserialize<'a>>(&self, option: &str, value: &'a str) -> Result<T, Invalid> {
        serde_aco::from_args(value, &self.objects).map_err(|source| Invalid::Value {
            option: option.to_owned(),
            value: value.to_owned(),
            source,
        })
    }
}

#[cfg(test)]
mod tests;
