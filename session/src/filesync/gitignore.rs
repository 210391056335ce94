//! `.gitignore` files, applied as git does.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use ignore::Match;
use ignore::gitignore::{Gitignore, GitignoreBuilder};

/// Bytes of one `.gitignore`: patterns become automata, and the file may be anybody's.
const FILE_LIMIT: u64 = 1 << 20;

/// The rules in force at one point of a walk.
#[derive(Debug)]
pub(crate) struct IgnoreRules {
    /// Rules by directory, outermost first; directories without a file are not in it.
    rules: Vec<Rules>,
    /// Rules of directories above the walk's root: never left.
    fixed: usize,
    everything: bool,
}

#[derive(Debug)]
struct Rules {
    directory: PathBuf,
    matcher: Gitignore,
}

impl IgnoreRules {
    /// The rules that hold for entries of `root`, an absolute path without links; nothing when neither it nor
    /// a directory above it has a `.git`.
    pub(crate) fn new(root: &Path) -> io::Result<Option<Self>> {
        let Some(top) = root.ancestors().find(|folder| folder.join(".git").symlink_metadata().is_ok()) else {
            return Ok(None);
        };
        let mut found = Self { rules: Vec::new(), fixed: 0, everything: false };
        let mut between: Vec<&Path> = root.ancestors().take_while(|&folder| folder != top).collect();
        between.push(top);
        for folder in between.into_iter().rev() {
            // git never looks into an ignored directory, so nothing below can be taken back.
            found.everything |= folder != top && found.ignores(folder, true);
            if folder != root {
                found.load(folder)?;
            }
        }
        found.fixed = found.rules.len();
        Ok(Some(found))
    }

    /// Reads the rules of a directory that the walk enters, and forgets those of directories it has left.
    pub(crate) fn enter(&mut self, directory: &Path) -> io::Result<()> {
        while self.rules.len() > self.fixed
            && self.rules.last().is_some_and(|rules| !directory.starts_with(&rules.directory))
        {
            self.rules.pop();
        }
        self.load(directory)
    }

    /// Is `path` ignored? The directories above it are not, or the walk would not have come here.
    pub(crate) fn ignores(&self, path: &Path, is_dir: bool) -> bool {
        if self.everything {
            return true;
        }
        for rules in self.rules.iter().rev().filter(|rules| path.starts_with(&rules.directory)) {
            match rules.matcher.matched(path, is_dir) {
                Match::Ignore(_) => return true,
                Match::Whitelist(_) => return false,
                Match::None => {}
            }
        }
        false
    }

    fn load(&mut self, directory: &Path) -> io::Result<()> {
        let path = directory.join(".gitignore");
        // As in git, a link in place of the file is not followed.
        match path.symlink_metadata() {
            Ok(meta) if meta.is_file() => {}
            Ok(_) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(at(&path, error)),
        }
        let mut bytes = Vec::new();
        let file = fs::File::open(&path).map_err(|error| at(&path, error))?;
        file.take(FILE_LIMIT + 1).read_to_end(&mut bytes).map_err(|error| at(&path, error))?;
        if bytes.len() as u64 > FILE_LIMIT {
            let message = format!("{}: larger than {FILE_LIMIT} bytes", path.display());
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, message));
        }
        let text = String::from_utf8_lossy(&bytes);
        let mut builder = GitignoreBuilder::new(directory);
        for line in text.strip_prefix('\u{feff}').unwrap_or(&text).lines() {
            // git passes over a line that it cannot understand.
            let _ = builder.add_line(None, line);
        }
        let matcher = builder.build().map_err(|error| {
            io::Error::new(io::ErrorKind::InvalidData, format!("{}: {error}", path.display()))
        })?;
        self.rules.push(Rules { directory: directory.to_owned(), matcher });
        Ok(())
    }
}

fn at(path: &Path, error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}
