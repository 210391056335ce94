//! Owners of files: `user`, `user:group`, numbers or names.

/// A resolved owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct Owner {
    /// User.
    pub uid: u32,
    /// Group.
    pub gid: u32,
}

/// One half of an owner text before look-up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Principal {
    /// A number (or `root`).
    Number(u32),
    /// A name to look up in the container.
    Name(String),
}

/// An owner text taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnerText {
    /// User half.
    pub user: Principal,
    /// Group half; the user half stands for it when missing.
    pub group: Option<Principal>,
}

/// Why an owner could not be resolved.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OwnerError {
    /// Directories and files know no names.
    #[error("failed to parse ownership {text}: invalid {half} {part:?}: not a number")]
    NotNumeric {
        /// The whole text.
        text: String,
        /// `uid` or `gid`.
        half: &'static str,
        /// The part that is not a number.
        part: String,
    },
    /// No such entry in `/etc/passwd`.
    #[error("find uid: no such user: {0}")]
    NoUser(String),
    /// No such entry in `/etc/group`.
    #[error("find gid: no such group: {0}")]
    NoGroup(String),
}

impl OwnerText {
    /// Takes an owner apart; `None` for the empty text, which keeps the source's owner.
    pub fn parse(text: &str) -> Option<Self> {
        if text.is_empty() {
            return None;
        }
        let (user, group) = match text.split_once(':') {
            Some((user, group)) => (user, Some(principal(group))),
            None => (text, None),
        };
        Some(Self { user: principal(user), group })
    }

    /// Does resolving it need the container's account files?
    pub fn needs_accounts(&self) -> bool {
        matches!(self.user, Principal::Name(_)) || matches!(self.group, Some(Principal::Name(_)))
    }

    /// Resolves numbers only, as Directory and File methods do.
    ///
    /// # Errors
    /// [`OwnerError::NotNumeric`] for a name.
    pub fn numeric(&self, text: &str) -> Result<Owner, OwnerError> {
        let number = |half, principal: &Principal| match principal {
            Principal::Number(number) => Ok(*number),
            Principal::Name(part) => {
                Err(OwnerError::NotNumeric { text: text.to_owned(), half, part: part.clone() })
            }
        };
        let uid = number("uid", &self.user)?;
        let gid = self.group.as_ref().map_or(Ok(uid), |group| number("gid", group))?;
        Ok(Owner { uid, gid })
    }

    /// Resolves names with the texts of `/etc/passwd` and `/etc/group`. A missing group takes the uid.
    ///
    /// # Errors
    /// [`OwnerError::NoUser`], [`OwnerError::NoGroup`].
    pub fn resolve(&self, passwd: &str, group: &str) -> Result<Owner, OwnerError> {
        let uid = match &self.user {
            Principal::Number(number) => *number,
            Principal::Name(name) => entry(passwd, name).ok_or_else(|| OwnerError::NoUser(name.clone()))?,
        };
        let gid = match &self.group {
            None => uid,
            Some(Principal::Number(number)) => *number,
            Some(Principal::Name(name)) => {
                entry(group, name).ok_or_else(|| OwnerError::NoGroup(name.clone()))?
            }
        };
        Ok(Owner { uid, gid })
    }
}

fn principal(text: &str) -> Principal {
    if text == "root" {
        return Principal::Number(0);
    }
    match text.parse() {
        Ok(number) => Principal::Number(number),
        Err(_) => Principal::Name(text.to_owned()),
    }
}

/// The number of a named line (`name:x:number:…`) in an account file.
fn entry(text: &str, name: &str) -> Option<u32> {
    text.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next()? == name).then(|| fields.nth(1)?.parse().ok())?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owners_resolve_by_number_and_name() {
        let passwd = "root:x:0:0::/root:/bin/sh\ndaemon:x:2:2::/:/bin/false\n";
        let group = "root:x:0:\nfloppy:x:11:daemon\n";
        for (text, expected) in [
            ("daemon", Ok((2, 2))),
            ("daemon:floppy", Ok((2, 11))),
            ("5", Ok((5, 5))),
            ("root:7", Ok((0, 7))),
            ("who", Err("find uid: no such user: who")),
            ("0:who", Err("find gid: no such group: who")),
        ] {
            let found = OwnerText::parse(text).unwrap().resolve(passwd, group);
            assert_eq!(
                found.map(|o| (o.uid, o.gid)).map_err(|e| e.to_string()),
                expected.map_err(str::to_owned),
                "{text}"
            );
        }
        assert_eq!(OwnerText::parse(""), None);
    }

    #[test]
    fn directories_take_numbers_only() {
        let error = OwnerText::parse("daemon").unwrap().numeric("daemon").unwrap_err();
        assert!(error.to_string().starts_with("failed to parse ownership daemon: invalid uid \"daemon\""));
        assert_eq!(OwnerText::parse("1:2").unwrap().numeric("1:2"), Ok(Owner { uid: 1, gid: 2 }));
    }
}
