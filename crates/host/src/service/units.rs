//! The units of a host with systemd: made here alone, written by `microvm host install`.

mod text;

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::kind::Kind;

pub use text::{Start, TARGETS, Unit, units};

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(
        "`{}` cannot stand in a unit; accepted are absolute paths of letters, digits, `/`, `-`, `_` and `.`",
        .path.display()
    )]
    Path { path: PathBuf },
    #[error("`{}` is there and is not ours; nothing was changed", .path.display())]
    Foreign { path: PathBuf },
    #[error("Cannot {action} `{}`", .path.display())]
    Io {
        action: &'static str,
        path: PathBuf,
        source: std::io::Error,
    },
}

impl Error {
    pub fn kind(&self) -> Kind {
        match self {
            Self::Path { .. } => Kind::Usage,
            Self::Foreign { .. } => Kind::Busy,
            Self::Io { source, .. } => Kind::of_io(source),
        }
    }
}

/// The first line of each file, by which it is known for ours.
pub(super) const MARK: &str =
    "# Installed by `microvm host install`; `microvm host uninstall` removes it.\n";

/// How the line begins that says which state directory the units are for.
const STATE: &str = "# State directory: ";

/// Writes all files below `root`, each whole or not at all, and gives those that changed. Files
/// that are not ours are all found first, so that none is written where one is in the way.
pub fn install(root: &Path, units: &[Unit]) -> Result<Vec<PathBuf>, Error> {
    let path_of = |unit: &Unit| root.join(unit.path.trim_start_matches('/'));
    for unit in units {
        is_ours_or_absent(&path_of(unit))?;
    }
    let mut changed = Vec::new();
    for unit in units {
        let path = path_of(unit);
        if fs::read_to_string(&path).is_ok_and(|text| text == unit.text) {
            continue;
        }
        write(&path, &unit.text)?;
        changed.push(path);
    }
    Ok(changed)
}

/// Removes our files below `root`, and gives them; others of the same names stay.
pub fn uninstall(root: &Path) -> Result<Vec<PathBuf>, Error> {
    let mut removed = Vec::new();
    for path in text::PATHS {
        let path = root.join(path.trim_start_matches('/'));
        match is_ours_or_absent(&path) {
            Ok(true) => {}
            Ok(false) | Err(Error::Foreign { .. }) => continue,
            Err(error) => return Err(error),
        }
        fs::remove_file(&path).map_err(io("delete", &path))?;
        removed.push(path);
    }
    Ok(removed)
}

/// How VMs are started by the units below `root`; the default where there are none.
pub fn start_of(root: &Path) -> Start {
    let path = root.join(text::PATHS[0].trim_start_matches('/'));
    fs::read_to_string(path).map_or_else(|_| Start::default(), |text| Start::of(&text))
}

/// The files below `root` that are not as they would be installed.
pub fn stale<'a>(root: &Path, units: &'a [Unit]) -> Vec<&'a Path> {
    let is_stale = |unit: &&Unit| {
        let text = fs::read_to_string(root.join(unit.path.trim_start_matches('/')));
        text.map_or(true, |text| text != unit.text)
    };
    units
        .iter()
        .filter(is_stale)
        .map(|unit| Path::new(unit.path))
        .collect()
}

/// The state directory that the units below `root` are for.
pub fn installed_for(root: &Path) -> Option<PathBuf> {
    let path = root.join(text::PATHS[0].trim_start_matches('/'));
    let text = fs::read_to_string(path).ok()?;
    let mut lines = text.lines();
    (lines.next()? == MARK.trim_end()).then_some(())?;
    Some(PathBuf::from(lines.next()?.strip_prefix(STATE)?))
}

pub(super) fn is_ours_or_absent(path: &Path) -> Result<bool, Error> {
    let foreign = || Error::Foreign {
        path: path.to_owned(),
    };
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
        Err(source) => return Err(io("examine", path)(source)),
        Ok(meta) if !meta.is_file() => return Err(foreign()),
        Ok(_) => {}
    }
    let text = fs::read(path).map_err(io("read", path))?;
    match text.starts_with(MARK.as_bytes()) {
        true => Ok(true),
        false => Err(foreign()),
    }
}

pub(super) fn write(path: &Path, text: &str) -> Result<(), Error> {
    use std::io::Write;
    let dir = path.parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(dir).map_err(io("make", dir))?;
    let mut file = tempfile::Builder::new()
        .prefix(".microvm-")
        .permissions(fs::Permissions::from_mode(0o644))
        .tempfile_in(dir)
        .map_err(io("write", path))?;
    file.write_all(text.as_bytes())
        .and_then(|()| {
            file.as_file()
                .set_permissions(fs::Permissions::from_mode(0o644))
        })
        .and_then(|()| file.as_file().sync_all())
        .map_err(io("write", path))?;
    file.persist(path)
        .map_err(|error| io("write", path)(error.error))?;
    Ok(())
}

pub(super) fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::Io {
        action,
        path,
        source,
    }
}

#[cfg(test)]
mod tests;
