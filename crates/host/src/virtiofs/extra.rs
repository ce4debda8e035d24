//! Understands virtiofsd's own command line, as far as it is for the daemon built in.

use std::str::FromStr;

use virtiofsd::idmap::{GidMap, UidMap};
use virtiofsd::passthrough::xattrmap::XattrMap;
use virtiofsd::passthrough::{CachePolicy, InodeFileHandlesMode, NegotiationMode};
use virtiofsd::sandbox::SandboxMode;
use virtiofsd::seccomp::SeccompAction;
use virtiofsd::soft_idmap::cmdline::IdMap;

use super::{Error, Served};

/// What extra arguments change; `None` leaves what the options of the share say.
#[derive(Debug)]
pub struct Extra {
    pub cache: Option<CachePolicy>,
    pub posix_acl: Option<NegotiationMode>,
    pub inode_file_handles: Option<InodeFileHandlesMode>,
    pub thread_pool_size: Option<usize>,
    pub readonly: bool,
    pub xattr: bool,
    pub xattrmap: Option<XattrMap>,
    pub sandbox: SandboxMode,
    pub seccomp: SeccompAction,
    pub announce_submounts: bool,
    pub allow_mmap: bool,
    pub readdirplus: bool,
    pub writeback: bool,
    pub allow_direct_io: bool,
    pub killpriv_v2: bool,
    pub preserve_noatime: bool,
    pub security_label: NegotiationMode,
    pub modcaps: Vec<(bool, String)>,
    pub log_level: log::LevelFilter,
    pub rlimit_nofile: Option<u64>,
    pub uid_map: Vec<UidMap>,
    pub gid_map: Vec<GidMap>,
    pub translate_uid: Vec<IdMap>,
    pub translate_gid: Vec<IdMap>,
}

impl Default for Extra {
    /// What virtiofsd does without arguments, but for the log: only what matters.
    fn default() -> Self {
        Self {
            cache: None,
            posix_acl: None,
            inode_file_handles: None,
            thread_pool_size: None,
            readonly: false,
            xattr: false,
            xattrmap: None,
            sandbox: SandboxMode::Namespace,
            seccomp: SeccompAction::Kill,
            announce_submounts: true,
            allow_mmap: false,
            readdirplus: true,
            writeback: false,
            allow_direct_io: false,
            killpriv_v2: false,
            preserve_noatime: false,
            security_label: NegotiationMode::Never,
            modcaps: Vec::new(),
            log_level: log::LevelFilter::Warn,
            rlimit_nofile: None,
            uid_map: Vec::new(),
            gid_map: Vec::new(),
            translate_uid: Vec::new(),
            translate_gid: Vec::new(),
        }
    }
}

/// Reads the extra arguments of a share.
pub fn parse(share: &Served) -> Result<Extra, Error> {
    let mut extra = Extra::default();
    let mut words = share.extra_args.iter();
    while let Some(word) = words.next() {
        let (name, inline) = match word.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (word.as_str(), None),
        };
        let mut next = || words.next().map(String::as_str);
        let done = if set_flag(&mut extra, name, inline) {
            Ok(())
        } else {
            set_value(&mut extra, name, inline, &mut next)
        };
        done.map_err(|why| Error::ExtraArg {
            tag: share.tag.clone(),
            argument: word.clone(),
            why,
        })?;
    }
    Ok(extra)
}

/// Options without a value; says whether this is one.
fn set_flag(extra: &mut Extra, name: &str, value: Option<&str>) -> bool {
    if value.is_some() {
        return false;
    }
    match name {
        "--readonly" => extra.readonly = true,
        "--xattr" => extra.xattr = true,
        "--announce-submounts" => extra.announce_submounts = true,
        "--no-announce-submounts" => extra.announce_submounts = false,
        "--allow-mmap" => extra.allow_mmap = true,
        "--no-readdirplus" => extra.readdirplus = false,
        "--writeback" => extra.writeback = true,
        "--allow-direct-io" => extra.allow_direct_io = true,
        "--killpriv-v2" => extra.killpriv_v2 = true,
        "--no-killpriv-v2" => extra.killpriv_v2 = false,
        "--preserve-noatime" => extra.preserve_noatime = true,
        // virtiofsd takes a value of these two only after `=`.
        "--posix-acl" => extra.posix_acl = Some(NegotiationMode::Always),
        "--security-label" => extra.security_label = NegotiationMode::Always,
        _ => return false,
    }
    true
}

fn set_value<'a>(
    extra: &mut Extra,
    name: &str,
    inline: Option<&'a str>,
    next: &mut dyn FnMut() -> Option<&'a str>,
) -> Result<(), String> {
    let mut value = || {
        inline
            .or_else(&mut *next)
            .ok_or_else(|| "it lacks its value".to_owned())
    };
    match name {
        "--cache" => extra.cache = Some(read(value()?)?),
        "--posix-acl" => extra.posix_acl = Some(read(value()?)?),
        "--security-label" => extra.security_label = read(value()?)?,
        "--inode-file-handles" => extra.inode_file_handles = Some(file_handles(value()?)?),
        "--thread-pool-size" => extra.thread_pool_size = Some(read(value()?)?),
        "--xattrmap" => extra.xattrmap = Some(xattrmap(value()?)?),
        "--sandbox" => extra.sandbox = read(value()?)?,
        "--seccomp" => extra.seccomp = seccomp(value()?)?,
        "--modcaps" => extra.modcaps.extend(modcaps(value()?)?),
        "--log-level" => extra.log_level = read(value()?)?,
        "--rlimit-nofile" => extra.rlimit_nofile = Some(read(value()?)?),
        "--uid-map" => extra.uid_map.push(read(value()?)?),
        "--gid-map" => extra.gid_map.push(read(value()?)?),
        "--translate-uid" => extra.translate_uid.push(read(value()?)?),
        "--translate-gid" => extra.translate_gid.push(read(value()?)?),
        "--shared-dir" | "--socket-path" | "--socket" | "--fd" | "--tag" | "--socket-group" => {
            return Err("the definition of the share says it".into());
        }
        _ => return Err("set `virtiofsd.package` to use a virtiofsd that knows it".into()),
    }
    Ok(())
}

fn read<T: FromStr<Err: std::fmt::Display>>(value: &str) -> Result<T, String> {
    value
        .parse()
        .map_err(|error: T::Err| format!("`{value}`: {error}"))
}

fn file_handles(value: &str) -> Result<InodeFileHandlesMode, String> {
    match value {
        "never" => Ok(InodeFileHandlesMode::Never),
        "prefer" | "fallback" => Ok(InodeFileHandlesMode::Prefer),
        "mandatory" => Ok(InodeFileHandlesMode::Mandatory),
        _ => Err(format!(
            "`{value}` is none of `never`, `prefer`, `mandatory`"
        )),
    }
}

fn seccomp(value: &str) -> Result<SeccompAction, String> {
    match value {
        "none" => Ok(SeccompAction::Allow),
        "kill" => Ok(SeccompAction::Kill),
        "log" => Ok(SeccompAction::Log),
        "trap" => Ok(SeccompAction::Trap),
        _ => Err(format!(
            "`{value}` is none of `none`, `kill`, `log`, `trap`"
        )),
    }
}

fn xattrmap(value: &str) -> Result<XattrMap, String> {
    XattrMap::try_from(value).map_err(|error| format!("`{value}`: {error}"))
}

/// `+name:-name`: whether a capability is added, and its name in capitals.
fn modcaps(value: &str) -> Result<Vec<(bool, String)>, String> {
    let one = |word: &str| {
        let (add, name) = match (word.strip_prefix('+'), word.strip_prefix('-')) {
            (Some(name), _) => (true, name),
            (_, Some(name)) => (false, name),
            _ => return Err(format!("`{word}` does not begin with `+` or `-`")),
        };
        let name = name.to_uppercase();
        match capng::name_to_capability(&name) {
            Ok(_) => Ok((add, name)),
            Err(_) => Err(format!("`{word}` is not a capability")),
        }
    };
    value.split(':').map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use spec::vm::{Access, ShareCache};

    fn share(extra: &[&str]) -> Served {
        Served {
            tag: "t".into(),
            source: "/".into(),
            socket: "t.sock".into(),
            only: None,
            cache: ShareCache::Auto,
            posix_acl: true,
            access: Access::ReadWrite,
            inode_file_handles: None,
            threads: 1,
            extra_args: extra.iter().map(|&word| word.to_owned()).collect(),
        }
    }

    #[test]
    fn both_ways_to_give_a_value() {
        let extra = parse(&share(&[
            "--cache=never",
            "--sandbox",
            "chroot",
            "--posix-acl",
            "--writeback",
            "--modcaps=+sys_admin:-chown",
            "--translate-uid=map:1000:0:1",
            "--uid-map",
            ":0:100000:65536:",
        ]))
        .unwrap();
        assert!(matches!(extra.cache, Some(CachePolicy::Never)));
        assert_eq!(extra.sandbox, SandboxMode::Chroot);
        assert_eq!(extra.posix_acl, Some(NegotiationMode::Always));
        assert!(extra.writeback);
        assert_eq!(
            extra.modcaps,
            [(true, "SYS_ADMIN".into()), (false, "CHOWN".into())]
        );
        assert_eq!(
            (extra.translate_uid.len(), extra.uid_map[0].count),
            (1, 65_536)
        );
    }

    #[rstest::rstest]
    #[case(&["--socket-path=x"], "the definition of the share says it")]
    #[case(&["--migration-mode=find-paths"], "set `virtiofsd.package` to use a virtiofsd that knows it")]
    #[case(&["--sandbox"], "it lacks its value")]
    #[case(&["--sandbox=jail"], "`jail`: Unknown sandbox mode")]
    #[case(&["--writeback=yes"], "set `virtiofsd.package` to use a virtiofsd that knows it")]
    #[case(&["--modcaps=chown"], "`chown` does not begin with `+` or `-`")]
    fn others_are_refused(#[case] words: &[&str], #[case] expected: &str) {
        let error = parse(&share(words)).unwrap_err();
        let Error::ExtraArg { argument, why, .. } = &error else {
            panic!("{error}")
        };
        assert_eq!((argument.as_str(), why.as_str()), (words[0], expected));
    }
}
