//! Paths of the client.

use std::io;
use std::path::{Component, Path, PathBuf};

/// Absolute path, cleaned as text: `~` is the home, what is relative starts at the working directory.
///
/// # Source
/// `contract/sources.md` 1.
pub(super) fn resolve(path: &str, workdir: &Path, home: Option<&Path>) -> PathBuf {
    let joined = match (path.strip_prefix('~'), home) {
        (Some(""), Some(home)) => home.to_owned(),
        (Some(rest), Some(home)) if rest.starts_with('/') => home.join(rest.trim_start_matches('/')),
        _ => workdir.join(path),
    };
    clean(&joined)
}

/// Removes `.` and resolves `..` without looking at the file system.
fn clean(path: &Path) -> PathBuf {
    let mut out = PathBuf::from("/");
    for component in path.components() {
        match component {
            Component::Normal(name) => out.push(name),
            // At the root there is nothing above.
            Component::ParentDir => drop(out.pop()),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    out
}

/// The first entry called `name` in a directory or above it, as a path relative to the directory.
///
/// # Errors
/// What the file system said, other than that there is nothing.
pub(super) fn find_up(from: &Path, name: &str) -> io::Result<Option<String>> {
    let mut prefix = String::new();
    for folder in from.ancestors() {
        match std::fs::metadata(folder.join(name)) {
            Ok(_) => return Ok(Some(format!("{prefix}{name}"))),
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {}
            Err(error) => return Err(error),
        }
        prefix.push_str("../");
    }
    Ok(None)
}

/// An error of the file system in the words that clients look for.
pub(super) fn describe(path: &Path, error: &io::Error) -> String {
    format!("{}: {}", path.display(), words(error))
}

/// What the system says of an error, without Rust's addition of the number.
pub(super) fn words(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "no such file or directory".to_owned(),
        io::ErrorKind::NotADirectory => "not a directory".to_owned(),
        io::ErrorKind::IsADirectory => "is a directory".to_owned(),
        io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_start_at_the_working_directory_or_the_home() {
        let home = Path::new("/home/u");
        let table = [
            (".", "/w/d"),
            ("", "/w/d"),
            ("a/./b", "/w/d/a/b"),
            ("../x", "/w/x"),
            ("../../../x", "/x"),
            ("/abs/../y/", "/y"),
            ("~", "/home/u"),
            ("~/a", "/home/u/a"),
            ("~other/a", "/w/d/~other/a"),
        ];
        for (path, expected) in table {
            assert_eq!(resolve(path, Path::new("/w/d"), Some(home)), Path::new(expected), "{path}");
        }
        assert_eq!(resolve("~/a", Path::new("/w"), None), Path::new("/w/~/a"));
    }

    #[test]
    fn finding_up_answers_relative_paths() {
        let folder = tempfile::tempdir().expect("a folder");
        let deep = folder.path().join("a/b");
        std::fs::create_dir_all(&deep).expect("made");
        std::fs::write(folder.path().join("marker-of-treenail"), "").expect("written");
        std::fs::write(deep.join("here"), "").expect("written");
        let find = |name| find_up(&deep, name).expect("looked");
        assert_eq!(find("here").as_deref(), Some("here"));
        assert_eq!(find("marker-of-treenail").as_deref(), Some("../../marker-of-treenail"));
        assert_eq!(find("b").as_deref(), Some("../b"));
        assert_eq!(find("nowhere-at-all"), None);
    }
}
