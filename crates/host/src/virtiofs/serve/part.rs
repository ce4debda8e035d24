//! A directory of which only some entries are seen: in a mount namespace of this process' own, an
//! empty file system over it, into which those entries are bound.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use nix::fcntl::{OFlag, open};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::stat::Mode;

/// What an entry is bound from.
enum Entry {
    Link(PathBuf),
    Bound { from: OwnedFd, is_dir: bool },
}

/// Leaves of `directory` what a list names, a path a line, for this process and what it starts.
/// Paths of other directories are not taken.
pub fn narrow(directory: &Path, list: &Path) -> io::Result<()> {
    let text = fs::read_to_string(list)?;
    unshare(CloneFlags::CLONE_NEWNS)?;
    let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
    mount(None::<&str>, "/", None::<&str>, private, None::<&str>)?;
    // Of this namespace, and from below what is about to lie over it.
    let mut entries = Vec::new();
    for line in text.lines().filter(|line| !line.is_empty()) {
        let name = name_in(directory, line)?;
        entries.push((name, Entry::of(&directory.join(name))?));
    }
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    let options = Some("mode=0755");
    mount(Some("tmpfs"), directory, Some("tmpfs"), flags, options)?;
    for (name, entry) in &entries {
        entry.show(&directory.join(name))?;
    }
    let read_only = flags | MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY;
    Ok(mount(
        None::<&str>,
        directory,
        None::<&str>,
        read_only,
        None::<&str>,
    )?)
}

fn name_in<'a>(directory: &Path, line: &'a str) -> io::Result<&'a OsStr> {
    let path = Path::new(line);
    match path.file_name() {
        Some(name) if path.parent() == Some(directory) => Ok(name),
        _ => Err(io::Error::other(format!(
            "`{line}` is not in `{}`",
            directory.display()
        ))),
    }
}

impl Entry {
    fn of(path: &Path) -> io::Result<Self> {
        let meta = fs::symlink_metadata(path)?;
        if meta.is_symlink() {
            return Ok(Self::Link(fs::read_link(path)?));
        }
        let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        Ok(Self::Bound {
            from: open(path, flags, Mode::empty())?,
            is_dir: meta.is_dir(),
        })
    }

    fn show(&self, at: &Path) -> io::Result<()> {
        match self {
            Self::Link(target) => symlink(target, at),
            Self::Bound { from, is_dir } => {
                match is_dir {
                    true => fs::create_dir(at)?,
                    false => drop(fs::File::create(at)?),
                }
                let from = format!("/proc/self/fd/{}", from.as_raw_fd());
                let bind = MsFlags::MS_BIND;
                Ok(mount(
                    Some(from.as_str()),
                    at,
                    None::<&str>,
                    bind,
                    None::<&str>,
                )?)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(directory: &Path) -> Vec<String> {
        let entries = fs::read_dir(directory).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names.collect();
        names.sort();
        names
    }

    /// A thread has a namespace of its own, so the others go on seeing everything.
    #[test]
    fn what_is_not_named_is_not_seen() {
        if !crate::user::is_root() {
            println!("skipped: only root can bind files");
            return;
        }
        let root = tempfile::tempdir().unwrap();
        let store = root.path().join("store");
        fs::create_dir_all(store.join("a/inner")).unwrap();
        fs::create_dir_all(store.join("secret")).unwrap();
        fs::write(store.join("c"), "text").unwrap();
        symlink("a/inner", store.join("d")).unwrap();
        let list = root.path().join("list");
        let lines = ["a", "c", "d"].map(|name| format!("{}\n", store.join(name).display()));
        fs::write(&list, lines.concat()).unwrap();
        let inside = store.clone();
        let seen = std::thread::spawn(move || {
            narrow(&inside, &list).unwrap();
            let text = fs::read_to_string(inside.join("c")).unwrap();
            let write = fs::write(inside.join("new"), "").is_err();
            (names(&inside), names(&inside.join("d/..")), text, write)
        });
        let (top, below, text, refuses) = seen.join().unwrap();
        assert_eq!(top, ["a", "c", "d"]);
        assert_eq!(
            (below, text.as_str(), refuses),
            (vec!["inner".to_owned()], "text", true)
        );
        assert_eq!(names(&store), ["a", "c", "d", "secret"]);
    }

    #[test]
    fn paths_of_elsewhere_are_refused() {
        assert!(name_in(Path::new("/nix/store"), "/nix/store/a").is_ok());
        for line in ["/nix/store/a/b", "/etc/passwd", "/nix/store/..", "a"] {
            assert!(name_in(Path::new("/nix/store"), line).is_err(), "{line}");
        }
    }
}
