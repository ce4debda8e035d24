//! Users and groups of a tree, edited as data: no program of the guest is run.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::table::Table;
use super::{Account, write};
use crate::error::{Error, io_at};

/// Where Debian begins with the ids of people.
const FIRST_UID: u32 = 1000;
const LAST_UID: u32 = 59_999;

/// The four account files.
pub(super) struct Accounts {
    passwd: Table,
    shadow: Table,
    group: Table,
    gshadow: Table,
}

/// Where a user lives and what belongs to it.
pub(super) struct Identity {
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) home: PathBuf,
}

/// As whom a process runs.
pub(super) struct Process {
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) groups: Vec<u32>,
    pub(super) home: String,
}

impl Accounts {
    pub(super) fn load(root: &Path) -> Result<Self, Error> {
        let load = |name: &str| Table::load(&root.join("etc").join(name));
        Ok(Self {
            passwd: load("passwd")?,
            shadow: load("shadow")?,
            group: load("group")?,
            gshadow: load("gshadow")?,
        })
    }

    pub(super) fn save(&self, root: &Path) -> Result<(), Error> {
        let etc = root.join("etc");
        let shadow_gid = self.gid_of("shadow").unwrap_or(0);
        let secret = if shadow_gid == 0 { 0o600 } else { 0o640 };
        self.passwd.save(&etc.join("passwd"), 0o644, 0)?;
        self.group.save(&etc.join("group"), 0o644, 0)?;
        self.shadow.save(&etc.join("shadow"), secret, shadow_gid)?;
        self.gshadow.save(&etc.join("gshadow"), secret, shadow_gid)
    }

    /// Sets the password field of a user, and takes the date of its last change away: it would
    /// differ from build to build.
    pub(super) fn set_password(&mut self, name: &str, field: &str) -> Result<(), Error> {
        for row in &mut self.shadow.rows {
            if let Some(changed) = row.get_mut(2) {
                changed.clear();
            }
        }
        match self.shadow.find_mut(name) {
            Some(row) if row.len() > 1 => field.clone_into(&mut row[1]),
            _ if self.passwd.find(name).is_none() => return Err(unknown("user", name)),
            _ => self.shadow.set(shadow_row(name, field)),
        }
        // Without `x` the password would be looked for in passwd(5) itself.
        if let Some(row) = self.passwd.find_mut(name)
            && row.len() > 1
        {
            "x".clone_into(&mut row[1]);
        }
        Ok(())
    }

    /// Makes a user with a group of its own and a home, or changes the one that is there.
    pub(super) fn ensure(&mut self, root: &Path, name: &str, user: &Account) -> Result<(), Error> {
        check_name(name)?;
        let fresh = self.passwd.find(name).is_none();
        if fresh {
            self.create(root, name, user)?;
        } else {
            self.change(name, user)?;
        }
        self.set_password(name, &user.password)?;
        self.join_groups(name, &user.groups)?;
        if fresh {
            self.make_home(root, name)?;
        }
        Ok(())
    }

    /// The ids of `USER` or `USER:GROUP`, by name or number.
    pub(super) fn owner(&self, text: &str) -> Result<(u32, u32), Error> {
        let (user, group) = match text.split_once(':') {
            Some((user, group)) => (user, Some(group)),
            None => (text, None),
        };
        let known = self.identity(user);
        let uid = match (&known, user.parse()) {
            (Some(identity), _) => identity.uid,
            (None, Ok(uid)) => uid,
            (None, Err(_)) => return Err(unknown("user", user)),
        };
        let gid = match group {
            Some(group) => match (self.gid_of(group), group.parse()) {
                (Some(gid), _) | (None, Ok(gid)) => gid,
                (None, Err(_)) => return Err(unknown("group", group)),
            },
            None => known.map_or(uid, |identity| identity.gid),
        };
        Ok((uid, gid))
    }

    pub(super) fn identity(&self, name: &str) -> Option<Identity> {
        let row = self.passwd.find(name)?;
        Some(Identity {
            uid: row.get(2)?.parse().ok()?,
            gid: row.get(3)?.parse().ok()?,
            home: PathBuf::from(row.get(5)?),
        })
    }

    /// As whom an image's process runs that names `USER[:GROUP]`, by name or number, as container
    /// engines read it: nobody is root, an unknown number has root's group.
    pub(super) fn process(&self, text: &str) -> Result<Process, Error> {
        let (user, group) = match text.split_once(':') {
            Some((user, group)) => (user, Some(group)),
            None => (text, None),
        };
        let user = if user.is_empty() { "0" } else { user };
        let field = |row: &Vec<String>, at: usize| row.get(at).cloned().unwrap_or_default();
        let by_number = || self.passwd.rows.iter().find(|row| field(row, 2) == user);
        let row = self.passwd.find(user).or_else(by_number);
        let number = |text: &str, kind| text.parse::<u32>().map_err(|_| unknown(kind, text));
        let (uid, own_gid) = match row {
            Some(row) => (
                number(&field(row, 2), "user")?,
                number(&field(row, 3), "group")?,
            ),
            None => (number(user, "user")?, 0),
        };
        let gid = match group {
            Some(group) => match self.gid_of(group) {
                Some(gid) => gid,
                None => number(group, "group")?,
            },
            None => own_gid,
        };
        let name = row.map(|row| field(row, 0));
        let is_member = |row: &&Vec<String>| {
            let members = field(row, 3);
            name.as_deref()
                .is_some_and(|name| members.split(',').any(|member| member == name))
        };
        let groups = self.group.rows.iter().filter(is_member);
        let groups = match group {
            // As engines do: who names a group has it alone.
            Some(_) => Vec::new(),
            None => groups
                .filter_map(|row| field(row, 2).parse().ok())
                .collect(),
        };
        let home = row
            .map(|row| field(row, 5))
            .filter(|home| home.starts_with('/'));
        Ok(Process {
            uid,
            gid,
            groups,
            home: home.unwrap_or_else(|| "/".to_owned()),
        })
    }

    fn create(&mut self, root: &Path, name: &str, user: &Account) -> Result<(), Error> {
        let uid = match user.uid {
            Some(uid) if self.passwd.has(2, &uid.to_string()) => {
                return Err(Error::Guest(format!(
                    "User id `{uid}` of `{name}` is taken"
                )));
            }
            Some(uid) => uid,
            None => self.free_id()?,
        };
        let gid = match self.gid_of(name) {
            Some(gid) => gid,
            None => {
                let gid = if self.group.has(2, &uid.to_string()) {
                    self.free_id()?
                } else {
                    uid
                };
                self.group
                    .set([name, "x", &gid.to_string(), ""].map(str::to_owned));
                self.gshadow.set([name, "!", "", ""].map(str::to_owned));
                gid
            }
        };
        let shell = shell(root, user.shell.as_deref())?;
        let home = format!("/home/{name}");
        let (uid, gid) = (uid.to_string(), gid.to_string());
        self.passwd
            .set([name, "x", &uid, &gid, "", &home, &shell].map(str::to_owned));
        Ok(())
    }

    fn change(&mut self, name: &str, user: &Account) -> Result<(), Error> {
        let row = self.passwd.find_mut(name).expect("looked up by the caller");
        row.resize(7, String::new());
        if let Some(uid) = user.uid
            && row[2] != uid.to_string()
        {
            let has = &row[2];
            return Err(Error::Guest(format!(
                "User `{name}` is in the tree with the id `{has}`, not `{uid}`"
            )));
        }
        if let Some(shell) = &user.shell {
            row[6] = plain(&shell.to_string_lossy())?.to_owned();
        }
        Ok(())
    }

    fn join_groups(&mut self, name: &str, groups: &[String]) -> Result<(), Error> {
        for group in groups {
            let row = self
                .group
                .find_mut(group)
                .ok_or_else(|| unknown("group", group))?;
            row.resize(4, String::new());
            add_member(&mut row[3], name);
            if let Some(row) = self.gshadow.find_mut(group) {
                row.resize(4, String::new());
                add_member(&mut row[3], name);
            }
        }
        Ok(())
    }

    fn make_home(&self, root: &Path, name: &str) -> Result<(), Error> {
        let identity = self.identity(name).expect("created just now");
        let home = root.join(identity.home.strip_prefix("/").unwrap_or(&identity.home));
        if home.exists() {
            return Ok(());
        }
        write::directory(&home)?;
        write::mode(&home, 0o700)?;
        write::own(&home, identity.uid, identity.gid)?;
        for file in write::list(&root.join("etc/skel")) {
            let metadata = file.symlink_metadata().map_err(io_at("read", &file))?;
            if metadata.is_file() {
                let to = home.join(file.file_name().unwrap_or_default());
                let content = fs::read(&file).map_err(io_at("read", &file))?;
                write::replace(&to, &content, metadata.mode() & 0o777)?;
                write::own(&to, identity.uid, identity.gid)?;
            }
        }
        Ok(())
    }

    fn gid_of(&self, group: &str) -> Option<u32> {
        self.group.find(group)?.get(2)?.parse().ok()
    }

    fn free_id(&self) -> Result<u32, Error> {
        let ids = |table: &Table| -> BTreeSet<u32> {
            let id = |row: &Vec<String>| row.get(2)?.parse().ok();
            table.rows.iter().filter_map(id).collect()
        };
        let (users, groups) = (ids(&self.passwd), ids(&self.group));
        (FIRST_UID..=LAST_UID)
            .find(|id| !users.contains(id) && !groups.contains(id))
            .ok_or_else(|| Error::Guest("No user id is free".into()))
    }
}

fn shadow_row(name: &str, field: &str) -> [String; 9] {
    [name, field, "", "0", "99999", "7", "", "", ""].map(str::to_owned)
}

fn add_member(members: &mut String, name: &str) {
    if members.split(',').any(|member| member == name) {
        return;
    }
    if !members.is_empty() {
        members.push(',');
    }
    members.push_str(name);
}

fn shell(root: &Path, asked: Option<&Path>) -> Result<String, Error> {
    match asked {
        Some(shell) => plain(&shell.to_string_lossy()).map(str::to_owned),
        None if root.join("bin/bash").exists() => Ok("/bin/bash".into()),
        None => Ok("/bin/sh".into()),
    }
}

/// Refuses what would end a field or a line.
fn plain(text: &str) -> Result<&str, Error> {
    if text.contains(|c: char| c == ':' || c.is_control()) {
        return Err(Error::Guest(format!(
            "`{}` cannot be in passwd(5)",
            text.escape_default()
        )));
    }
    Ok(text)
}

fn check_name(name: &str) -> Result<(), Error> {
    let valid = name.len() <= 32
        && name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && name
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_-.".contains(&b));
    if valid {
        return Ok(());
    }
    Err(Error::Guest(format!(
        "`{}` is not a user name: 1 to 32 of `a-z 0-9 _ - .`, the first a letter or `_`",
        name.escape_default()
    )))
}

fn unknown(what: &str, name: &str) -> Error {
    Error::Guest(format!(
        "The guest has no {what} `{}`",
        name.escape_default()
    ))
}
