//! Users and groups as the container's own files name them.
//!
//! Invariant: a line that is not well formed names nobody. (Upstream reads a number it cannot parse as 0, which
//! makes such a user root.)

use std::fmt;
use std::fs::File;
use std::io::Read;

/// Most bytes read of an account file.
const FILE_LIMIT: u64 = 16 * 1024 * 1024;

/// Largest id that the system calls take safely.
const ID_LIMIT: i64 = 0x7fff_ffff;

/// Who runs a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) groups: Vec<u32>,
}

/// Why a user is not known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum AccountError {
    NoUser(String),
    NoGroup(String),
    OutOfRange,
}

impl fmt::Display for AccountError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoUser(name) => {
                write!(formatter, "unable to find user {name}: no matching entries in passwd file")
            }
            Self::NoGroup(name) => {
                write!(formatter, "unable to find group {name}: no matching entries in group file")
            }
            Self::OutOfRange => write!(formatter, "uids and gids must be in range 0-{ID_LIMIT}"),
        }
    }
}

/// The two account files, as text. A file that is not there names nobody.
pub(crate) struct Accounts {
    passwd: String,
    group: String,
}

struct User<'a> {
    name: &'a str,
    uid: u32,
    gid: u32,
    home: &'a str,
}

struct Group<'a> {
    name: &'a str,
    gid: u32,
    members: &'a str,
}

impl Accounts {
    /// Reads the files of the root file system.
    pub(crate) fn read() -> Self {
        Self { passwd: read("/etc/passwd"), group: read("/etc/group") }
    }

    /// Finds `name`, `uid`, `name:group` or `uid:gid`. A number needs no entry; the first entry wins. Further
    /// groups belong to a user named without a group, if the user has an entry.
    ///
    /// # Source
    /// `github.com/moby/sys/user` v0.4, `GetExecUser`.
    pub(crate) fn identity(&self, spec: &str) -> Result<Identity, AccountError> {
        let (user, group) = spec.split_once(':').unwrap_or((spec, ""));
        let number = if user.is_empty() { Some(0) } else { user.parse().ok() };
        let entry = self.users().find(|entry| match number {
            Some(number) => i64::from(entry.uid) == number,
            None => entry.name == user,
        });
        let mut identity = match (&entry, number) {
            (Some(entry), _) => Identity { uid: entry.uid, gid: entry.gid, groups: Vec::new() },
            (None, Some(number)) => Identity { uid: id(number)?, gid: 0, groups: Vec::new() },
            (None, None) => return Err(AccountError::NoUser(user.to_owned())),
        };
        if !group.is_empty() {
            identity.gid = self.group(group)?;
        } else if let Some(entry) = entry {
            let member =
                |group: &Group<'_>| group.members.split(',').any(|member| member.trim() == entry.name);
            identity.groups = self.groups().filter(member).map(|group| group.gid).collect();
        }
        Ok(identity)
    }

    /// Home directory of a user, `/` if none is known.
    pub(crate) fn home(&self, uid: u32) -> &str {
        let home = self.users().find(|entry| entry.uid == uid).map_or("", |entry| entry.home);
        if home.is_empty() { "/" } else { home }
    }

    fn group(&self, name: &str) -> Result<u32, AccountError> {
        if let Ok(number) = name.parse() {
            return id(number);
        }
        let entry = self.groups().find(|entry| entry.name == name);
        entry.map(|entry| entry.gid).ok_or_else(|| AccountError::NoGroup(name.to_owned()))
    }

    fn users(&self) -> impl Iterator<Item = User<'_>> {
        self.passwd.lines().filter_map(|line| {
            let mut fields = line.trim().split(':');
            let name = fields.next().filter(|name| !name.is_empty())?;
            let _password = fields.next()?;
            let uid = fields.next()?.trim().parse().ok().filter(in_range)?;
            let gid = fields.next()?.trim().parse().ok().filter(in_range)?;
            let _comment = fields.next();
            let home = fields.next().unwrap_or("");
            Some(User { name, uid, gid, home })
        })
    }

    fn groups(&self) -> impl Iterator<Item = Group<'_>> {
        self.group.lines().filter_map(|line| {
            let mut fields = line.trim().split(':');
            let name = fields.next().filter(|name| !name.is_empty())?;
            let _password = fields.next()?;
            let gid = fields.next()?.trim().parse().ok().filter(in_range)?;
            Some(Group { name, gid, members: fields.next().unwrap_or("") })
        })
    }
}

fn in_range(id: &u32) -> bool {
    i64::from(*id) <= ID_LIMIT
}

fn id(number: i64) -> Result<u32, AccountError> {
    u32::try_from(number).ok().filter(in_range).ok_or(AccountError::OutOfRange)
}

fn read(path: &str) -> String {
    let mut bytes = Vec::new();
    if let Ok(file) = File::open(path) {
        // What could be read before an error still names whom it names.
        let _ = file.take(FILE_LIMIT).read_to_end(&mut bytes);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accounts() -> Accounts {
        let passwd = "\n# a comment\nroot:x:0:0:root:/root:/bin/sh\n  daemon:x:2:2:daemon:/sbin:/sbin/nologin  \n\
            broken:x:zero:0::/:\nnoshell:x:7:8\ntwin:x:2:99::/twin:\nbig:x:4294967295:1::/:\n:x:0:0::/:\n";
        let group = "root:x:0:root\ndaemon:x:2:root,daemon\nfloppy:x:11:root\nadm:x:4: root , daemon\nodd:x:x:daemon\n\
            late:x:12";
        Accounts { passwd: passwd.to_owned(), group: group.to_owned() }
    }

    fn check(spec: &str, uid: u32, gid: u32, groups: &[u32]) {
        assert_eq!(accounts().identity(spec), Ok(Identity { uid, gid, groups: groups.to_vec() }), "{spec}");
    }

    #[test]
    fn users_are_found_in_every_form() {
        check("daemon", 2, 2, &[2, 4]);
        check("2", 2, 2, &[2, 4]);
        check("daemon:floppy", 2, 11, &[]);
        check("2:11", 2, 11, &[]);
        check("daemon:", 2, 2, &[2, 4]);
        check("root", 0, 0, &[0, 2, 11, 4]);
        check(":floppy", 0, 11, &[]);
        check("5000", 5000, 0, &[]);
        check("5000:6000", 5000, 6000, &[]);
        check("noshell", 7, 8, &[]);
        check("noshell:late", 7, 12, &[]);
        check("twin", 2, 99, &[]);
    }

    #[test]
    fn unknown_ones_are_named() {
        let failure = |spec: &str| accounts().identity(spec).expect_err("nobody has this name").to_string();
        assert_eq!(failure("x"), "unable to find user x: no matching entries in passwd file");
        assert_eq!(failure("broken"), "unable to find user broken: no matching entries in passwd file");
        assert_eq!(failure("big"), "unable to find user big: no matching entries in passwd file");
        assert_eq!(failure("daemon:x"), "unable to find group x: no matching entries in group file");
        assert_eq!(failure("-1"), "uids and gids must be in range 0-2147483647");
        assert_eq!(failure("2:4294967296"), "uids and gids must be in range 0-2147483647");
        let nobody = Accounts { passwd: String::new(), group: String::new() };
        assert!(nobody.identity("daemon").is_err());
        assert_eq!(nobody.identity("3"), Ok(Identity { uid: 3, gid: 0, groups: Vec::new() }));
    }

    #[test]
    fn a_home_is_known_or_the_root() {
        assert_eq!(accounts().home(2), "/sbin");
        assert_eq!(accounts().home(7), "/");
        assert_eq!(accounts().home(12345), "/");
    }
}
