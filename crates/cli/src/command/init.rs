//! `microvm init`: writes a definition that runs as it is.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::ValueEnum;

use crate::error::{Error, Kind, Result};

/// Write a commented `microvm.toml` that runs as it is
#[derive(clap::Args)]
pub struct Args {
    /// Which one
    #[arg(long, value_enum, default_value_t = Template::Default)]
    template: Template,

    /// Created where it is absent
    #[arg(default_value = ".")]
    dir: PathBuf,
}

#[derive(Clone, Copy, ValueEnum)]
enum Template {
    /// A Debian guest with SSH, a volume and a forwarded port
    Default,
    /// The least that boots
    Minimal,
}

impl Template {
    fn text(self) -> &'static str {
        match self {
            Self::Default => include_str!("../../templates/default.toml"),
            Self::Minimal => include_str!("../../templates/minimal.toml"),
        }
    }

    fn vm(self) -> &'static str {
        match self {
            Self::Default => "web",
            Self::Minimal => "minimal",
        }
    }
}

impl Args {
    pub fn run(self) -> Result<ExitCode> {
        let cannot = |error: std::io::Error| {
            Error::new(
                Kind::Storage,
                format!("Cannot write to `{}`: {error}", self.dir.display()),
            )
        };
        std::fs::create_dir_all(&self.dir).map_err(cannot)?;
        let file = self.dir.join("microvm.toml");
        let mut output = match OpenOptions::new().write(true).create_new(true).open(&file) {
            Ok(output) => output,
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                return Err(Error::new(
                    Kind::Busy,
                    format!("`{}` is there already; it was not touched", file.display()),
                )
                .hint("`microvm init DIR` writes into another directory"));
            }
            Err(error) => return Err(cannot(error)),
        };
        if let Err(error) = output.write_all(self.template.text().as_bytes()) {
            let _ = std::fs::remove_file(&file);
            return Err(cannot(error));
        }
        eprintln!("Wrote `{}`", file.display());
        let source = if self.dir.as_os_str() == "." {
            ".".to_owned()
        } else {
            crate::command::as_source(&self.dir)
        };
        eprintln!(
            "hint: `microvm run {source}#{}` boots it",
            self.template.vm()
        );
        Ok(ExitCode::SUCCESS)
    }
}
