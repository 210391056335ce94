//! What Container, Directory and File share: existence, kinds, filters.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use ignore::gitignore::{Gitignore, GitignoreBuilder};
use treenail_engine::{Cause, Engine, Entry};
use treenail_model::{CopyFilter, Directory, File, FileType, Stat, Tree, Value, paths};

use crate::binding::{Outcome, member};

/// Kind that an `exists` asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ExistsType {
    Regular,
    Directory,
    Symlink,
}

member!(ExistsType, "ExistsType", {
    "REGULAR_TYPE" => ExistsType::Regular,
    "DIRECTORY_TYPE" => ExistsType::Directory,
    "SYMLINK_TYPE" => ExistsType::Symlink,
});

/// Patterns as arguments give them.
pub(super) struct CopyPatterns {
    pub(super) include: Vec<String>,
    pub(super) exclude: Vec<String>,
    pub(super) gitignore: bool,
}

/// Fails unless there is a directory (or a file) at `path`; `shown` is the path in the caller's words.
pub(super) async fn check(
    engine: &Engine,
    directory: &Directory,
    path: &str,
    shown: &str,
    want_directory: bool,
) -> Result<(), Cause> {
    if paths::base_name(path.trim_end_matches('/')).len() > paths::MAX_NAME {
        return Err(Cause::invalid(paths::NAME_TOO_LONG));
    }
    match engine.stat(directory, path).await? {
        None => Err(Cause::invalid(format!("stat {shown}: no such file or directory"))),
        Some(stat) if want_directory && stat.file_type != FileType::Directory => {
            Err(Cause::invalid(format!("path {shown} is a file, not a directory")))
        }
        Some(stat) if !want_directory && stat.file_type == FileType::Directory => {
            Err(Cause::invalid(format!("path {shown} is a directory, not a file")))
        }
        Some(_) => Ok(()),
    }
}

/// `exists`: a missing path is an answer.
pub(super) async fn exists(
    engine: &Engine,
    directory: &Directory,
    path: &str,
    expected: Option<ExistsType>,
    no_follow: bool,
) -> Outcome {
    let look_at_links = no_follow || expected == Some(ExistsType::Symlink);
    let found = if look_at_links {
        engine.stat_link(directory, path).await?
    } else {
        engine.stat(directory, path).await?
    };
    let answer = found.is_some_and(|stat| match expected {
        None => true,
        Some(ExistsType::Regular) => stat.file_type == FileType::Regular,
        Some(ExistsType::Directory) => stat.file_type == FileType::Directory,
        Some(ExistsType::Symlink) => stat.file_type == FileType::Symlink,
    });
    Ok(Value::Bool(answer).into())
}

/// `stat` of a directory's path; a missing one is an error.
pub(super) async fn stat(
    engine: &Engine,
    directory: &Directory,
    path: &str,
    shown: &str,
    no_follow: bool,
) -> Outcome {
    let missing = || Cause::invalid(format!("stat {shown}: no such file or directory"));
    if shown.is_empty() {
        return Err(missing());
    }
    let found = if no_follow {
        engine.stat_link(directory, path).await?
    } else {
        engine.stat(directory, path).await?
    };
    Ok(found.ok_or_else(missing)?.into())
}

/// `stat` of a file value.
pub(super) async fn stat_file(engine: &Engine, file: &File) -> Outcome {
    let root = Directory::whole(file.tree.clone(), file.platform.clone());
    let found = engine.stat(&root, &file.path).await?;
    let found =
        found.ok_or_else(|| Cause::invalid(format!("stat {}: no such file or directory", file.name())))?;
    Ok(Stat { name: file.name().into(), ..found }.into())
}

/// A directory with a new file. Large contents travel beside the definition: then an existing file is replaced
/// rather than rewritten.
pub(super) fn with_new_file(
    engine: &Engine,
    directory: &Directory,
    path: &str,
    contents: impl AsRef<[u8]>,
    permissions: u32,
    owner: Option<treenail_model::Owner>,
) -> Directory {
    let contents = contents.as_ref();
    if contents.len() <= engine.host().inline_limit() {
        return directory.with_new_file(path, contents, permissions, owner);
    }
    let mode = if permissions == 0 { 0o644 } else { permissions };
    let owner = owner.or(Some(treenail_model::Owner::default()));
    directory.with_file(path, &engine.inline_file(contents), Some(mode), owner)
}

/// A new file on its own. Large contents travel beside the definition.
pub(super) fn new_file(engine: &Engine, name: &str, contents: impl AsRef<[u8]>, permissions: u32) -> File {
    let whole = Directory::whole(Tree::scratch(), engine.default_platform());
    with_new_file(engine, &whole, name, contents, permissions, None).file(name)
}

/// The filter of a copy. With `gitignore`, the tree's own ignore files are read, which evaluates it, and what
/// they drop is excluded by its exact path.
pub(super) async fn filter(
    engine: &Engine,
    source: &Directory,
    patterns: CopyPatterns,
) -> Result<CopyFilter, Cause> {
    let mut filter = CopyFilter { include: patterns.include, exclude: patterns.exclude };
    if patterns.gitignore {
        let entries = engine.walk(source).await?;
        let dropped = ignored(engine, source, &entries).await?;
        filter.exclude.extend(dropped);
    }
    Ok(filter)
}

/// Paths of a tree that its `.gitignore` files drop, as patterns; entries below a dropped directory are left out.
async fn ignored(engine: &Engine, source: &Directory, entries: &[Entry]) -> Result<Vec<String>, Cause> {
    let mut rules: HashMap<PathBuf, Gitignore> = HashMap::new();
    for entry in entries.iter().filter(|entry| {
        paths::base_name(&entry.path) == ".gitignore" && entry.stat.file_type == FileType::Regular
    }) {
        let text = engine.read_text_if_any(source, &entry.path).await?.unwrap_or_default();
        let folder = Path::new(&entry.path).parent().unwrap_or(Path::new("")).to_owned();
        let mut builder = GitignoreBuilder::new(Path::new("/").join(&folder));
        for line in text.lines() {
            // A line that is no pattern ignores nothing, as in git.
            if let Err(error) = builder.add_line(None, line) {
                tracing::debug!(%error, line, "a .gitignore line is no pattern");
            }
        }
        let built = builder.build().map_err(|error| Cause::invalid(format!("{}: {error}", entry.path)))?;
        rules.insert(folder, built);
    }
    let mut dropped: Vec<String> = Vec::new();
    let mut inside: Option<String> = None;
    for entry in entries {
        if inside.as_ref().is_some_and(|folder| entry.path.starts_with(folder.as_str())) {
            continue;
        }
        if is_ignored(&rules, &entry.path, entry.stat.file_type == FileType::Directory) {
            if entry.stat.file_type == FileType::Directory {
                inside = Some(format!("{}/", entry.path));
            }
            dropped.push(escaped(&entry.path));
        }
    }
    Ok(dropped)
}

/// The nearest ignore file that says something of a path decides.
fn is_ignored(rules: &HashMap<PathBuf, Gitignore>, path: &str, is_dir: bool) -> bool {
    let absolute = Path::new("/").join(path);
    let mut folder = Path::new(path).parent();
    while let Some(at) = folder {
        if let Some(rule) = rules.get(at) {
            match rule.matched(&absolute, is_dir) {
                ignore::Match::Ignore(_) => return true,
                ignore::Match::Whitelist(_) => return false,
                ignore::Match::None => {}
            }
        }
        folder = at.parent();
    }
    false
}

/// A path as a pattern that matches only itself.
fn escaped(path: &str) -> String {
    let mut pattern = String::with_capacity(path.len());
    for (at, letter) in path.char_indices() {
        if matches!(letter, '*' | '?' | '[' | ']' | '\\') || (at == 0 && matches!(letter, '!' | '#')) {
            pattern.push('\\');
        }
        pattern.push(letter);
    }
    pattern
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nested_ignore_files_decide_by_nearness() {
        let rule = |folder: &str, lines: &[&str]| {
            let mut builder = GitignoreBuilder::new(Path::new("/").join(folder));
            for line in lines {
                builder.add_line(None, line).unwrap();
            }
            (PathBuf::from(folder), builder.build().unwrap())
        };
        let rules = HashMap::from([rule("", &["*.log", "!keep.log", "/out"]), rule("sub", &["*.txt"])]);
        for (path, is_dir, expected) in [
            ("x.log", false, true),
            ("sub/x.log", false, true),
            ("out", true, true),
            ("sub/y.txt", false, true),
            ("keep.log", false, false),
            ("sub/keep.log", false, false),
            ("sub/out", true, false),
            ("y.txt", false, false),
            (".gitignore", false, false),
        ] {
            assert_eq!(is_ignored(&rules, path, is_dir), expected, "{path}");
        }
    }

    #[test]
    fn an_escaped_path_is_a_literal_pattern() {
        assert_eq!(escaped("a[1]*.txt"), "a\\[1\\]\\*.txt");
        assert_eq!(escaped("!x"), "\\!x");
    }
}
