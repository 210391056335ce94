//! Paths whose links are to be followed: what they lead through becomes part of the include list.
//!
//! # Source
//! `github.com/tonistiigi/fsutil` `followlinks.go`.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::Path;

use treenail_patterns::PatternMatcher;

/// Links followed for one request: the paths come from the daemon, the links from anybody.
const LIMIT: usize = 10_000;

/// Adds to `include` what `paths` lead through, below `root`. A path that leads to the root itself asks for
/// everything, so it adds nothing.
pub(crate) fn extend(root: &Path, include: Vec<String>, paths: &[String]) -> io::Result<Vec<String>> {
    if paths.is_empty() {
        return Ok(include);
    }
    let mut resolved = BTreeSet::new();
    let mut open: Vec<String> = paths.iter().map(|path| clean(path)).collect();
    let mut steps = 0;
    while let Some(path) = open.pop() {
        steps += 1;
        if steps > LIMIT {
            return Err(io::Error::new(io::ErrorKind::QuotaExceeded, "too many links to follow"));
        }
        resolve(root, &path, &mut resolved, &mut open)?;
    }
    if resolved.contains("") {
        return Ok(include);
    }
    let mut all: BTreeSet<String> = include.into_iter().collect();
    all.extend(resolved);
    let mut kept: Vec<String> = Vec::with_capacity(all.len());
    for path in all {
        if kept.last().is_none_or(|last| !path.starts_with(&format!("{last}/"))) {
            kept.push(path);
        }
    }
    Ok(kept)
}

/// Goes down `path` to its first link; remembers the link and what it points to, or else the whole path.
fn resolve(
    root: &Path,
    path: &str,
    resolved: &mut BTreeSet<String>,
    open: &mut Vec<String>,
) -> io::Result<()> {
    let mut current = String::new();
    let mut rest = path;
    loop {
        let (part, after) = rest.split_once('/').unwrap_or((rest, ""));
        current = join(&current, part);
        rest = after;
        let targets = targets(root, &current)?;
        if !targets.is_empty() {
            if resolved.insert(current) {
                open.extend(targets.iter().map(|target| clean(&format!("{target}/{rest}"))));
            }
            return Ok(());
        }
        if rest.is_empty() {
            resolved.insert(current);
            return Ok(());
        }
    }
}

/// Where the link at `path` points, or each link that a last component with wildcards matches.
fn targets(root: &Path, path: &str) -> io::Result<Vec<String>> {
    let (parent, base) = path.rsplit_once('/').unwrap_or(("", path));
    if !base.contains(['*', '?', '[']) {
        return Ok(target(root, path).into_iter().collect());
    }
    let Ok(matcher) = PatternMatcher::new(&[base]) else { return Ok(Vec::new()) };
    let entries = match fs::read_dir(root.join(parent)) {
        Ok(entries) => entries,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(Vec::new());
        }
        Err(error) => return Err(error),
    };
    let mut found = Vec::new();
    for entry in entries {
        if let Ok(name) = entry?.file_name().into_string()
            && matcher.matches_or_parent(&name)
        {
            found.extend(target(root, &join(parent, &name)));
        }
    }
    found.sort();
    Ok(found)
}

fn target(root: &Path, path: &str) -> Option<String> {
    let link = fs::read_link(root.join(path)).ok()?.into_os_string().into_string().ok()?;
    if link.starts_with('/') {
        return Some(clean(&link));
    }
    let parent = path.rsplit_once('/').map_or("", |(parent, _)| parent);
    Some(clean(&format!("{parent}/{link}")))
}

/// The path relative to the root, which `..` never leaves; empty for the root itself.
fn clean(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            other => parts.push(other),
        }
    }
    parts.join("/")
}

fn join(parent: &str, name: &str) -> String {
    if parent.is_empty() { name.to_owned() } else { format!("{parent}/{name}") }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn follows_links_and_survives_loops() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path();
        fs::create_dir_all(root.join("real/deep")).expect("folders");
        fs::write(root.join("real/deep/file"), "x").expect("a file");
        symlink("real", root.join("link")).expect("a link");
        symlink("/real/deep", root.join("absolute")).expect("a link");
        symlink("../../../etc", root.join("out")).expect("a link");
        symlink("loop", root.join("loop")).expect("a link");
        symlink("/", root.join("top")).expect("a link");
        for (paths, expected) in [
            (&["link/deep/file"][..], &["link", "real/deep/file"][..]),
            (&["absolute"], &["absolute", "real/deep"]),
            (&["out/passwd"], &["etc/passwd", "out"]),
            (&["loop"], &["loop"]),
            (&["plain", "missing/x"], &["missing/x", "plain"]),
            (&["l*"], &["l*", "loop", "real"]),
            (&["top"], &[]),
        ] {
            let paths: Vec<String> = paths.iter().map(|&path| path.to_owned()).collect();
            assert_eq!(extend(root, Vec::new(), &paths).expect("followed"), expected, "{paths:?}");
        }
    }
}
