//! Checks the list of a tree that somebody else sends.
//!
//! # Source
//! `github.com/tonistiigi/fsutil` `validator.go`.

/// Entries of one tree. Each costs memory until the transfer ends.
const ENTRY_LIMIT: u64 = 5_000_000;
/// Bytes of a path, as the kernel has it.
const PATH_LIMIT: usize = 4095;
/// Bytes of one name.
const NAME_LIMIT: usize = 255;

/// Why an entry is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refused {
    #[error("invalid path {0:?}")]
    Path(String),
    #[error("{0:?} is out of order, or not in a directory of the list")]
    Order(String),
    #[error("more than {ENTRY_LIMIT} entries")]
    TooMany,
}

/// The directories that the next entry may be in.
///
/// Invariant: an accepted path is relative, has no empty, `.` or `..` component, and all directories above it
/// were accepted as directories.
#[derive(Debug)]
pub(crate) struct Order {
    /// From the root down, with the last name seen in each.
    open: Vec<(String, String)>,
    count: u64,
}

impl Default for Order {
    fn default() -> Self {
        Self { open: vec![(String::new(), String::new())], count: 0 }
    }
}

impl Order {
    /// Accepts the next entry.
    pub(crate) fn check(&mut self, path: &str, is_dir: bool) -> Result<(), Refused> {
        self.count += 1;
        if self.count > ENTRY_LIMIT {
            return Err(Refused::TooMany);
        }
        let clean = |part: &str| !matches!(part, "" | "." | "..") && part.len() <= NAME_LIMIT;
        if path.len() > PATH_LIMIT || path.contains('\0') || !path.split('/').all(clean) {
            return Err(Refused::Path(path.chars().take(NAME_LIMIT).collect()));
        }
        let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
        let out_of_order = || Refused::Order(path.to_owned());
        let depth = self.open.iter().rposition(|(folder, _)| folder == parent).ok_or_else(out_of_order)?;
        self.open.truncate(depth + 1);
        let (_, last) = &mut self.open[depth];
        if last.as_str() >= name {
            return Err(out_of_order());
        }
        name.clone_into(last);
        if is_dir {
            self.open.push((path.to_owned(), String::new()));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_a_tree_in_order() {
        let mut order = Order::default();
        for (path, is_dir) in
            [("a", true), ("a/b", true), ("a/b/c", false), ("a/d", false), ("a-b", false), ("b", true)]
        {
            order.check(path, is_dir).expect(path);
        }
    }

    #[test]
    fn refuses_what_could_escape_or_confuse() {
        for path in ["", "/", "/a", "a/", "a//b", ".", "..", "../x", "a/..", "a/../../x", "a/./b", "a\0b"] {
            assert!(matches!(Order::default().check(path, false), Err(Refused::Path(_))), "{path:?}");
        }
        for entries in [
            &[("b", false), ("a", false)][..],
            &[("a", false), ("a", false)],
            &[("a", false), ("a/b", false)],
            &[("a/b", false)],
            &[("a", true), ("b", true), ("a/c", false)],
        ] {
            let mut order = Order::default();
            let ends: Vec<_> = entries.iter().map(|(path, is_dir)| order.check(path, *is_dir)).collect();
            assert!(matches!(ends.last(), Some(Err(Refused::Order(_)))), "{entries:?}");
        }
    }
}
