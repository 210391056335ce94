//! Paths inside snapshots. They are texts with `/`, never host paths: nothing here touches a file system.

/// Longest file name, in bytes.
pub const MAX_NAME: usize = 255;

/// What is said of a longer one. The text is 0.19.11's.
pub const NAME_TOO_LONG: &str = "File name length exceeds the maximum supported 255 characters";

/// Cleans an absolute path lexically: no `.`, no `..`, no doubled or trailing slash. `..` stops at the root.
pub fn clean(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            _ => parts.push(part),
        }
    }
    let mut cleaned = String::with_capacity(path.len() + 1);
    for part in parts {
        cleaned.push('/');
        cleaned.push_str(part);
    }
    if cleaned.is_empty() {
        cleaned.push('/');
    }
    cleaned
}

/// Joins a container path to the working directory (absolute paths stand for themselves) and cleans it.
pub fn in_workdir(workdir: &str, path: &str) -> String {
    if path.starts_with('/') { clean(path) } else { clean(&format!("{workdir}/{path}")) }
}

/// Joins a path to a directory's own root: a leading slash means that root. `..` may climb out of a selected
/// sub-directory, up to the snapshot's root and never above.
pub fn in_directory(base: &str, path: &str) -> String {
    clean(&format!("{base}/{path}"))
}

/// Last component of a cleaned path; empty for the root.
pub fn base_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or_default()
}

/// Everything before the last component of a cleaned absolute path: `/` for a name at the root.
pub fn parent(path: &str) -> &str {
    match path.rfind('/') {
        None | Some(0) => "/",
        Some(at) => &path[..at],
    }
}

/// The rest of `path` below `base` (both cleaned), with a leading slash; `Some("/")` when they are equal.
pub fn below<'a>(base: &str, path: &'a str) -> Option<&'a str> {
    if base == "/" {
        return Some(path);
    }
    match path.strip_prefix(base)? {
        "" => Some("/"),
        rest if rest.starts_with('/') => Some(rest),
        _ => None,
    }
}

/// Does a relative path, walked from a root, leave that root at some point?
pub fn escapes(path: &str) -> bool {
    let mut depth = 0_i64;
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => depth -= 1,
            _ => depth += 1,
        }
        if depth < 0 {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_cleaned_and_clamped() {
        for (path, expected) in [
            ("", "/"),
            ("/", "/"),
            ("a", "/a"),
            ("/a//b/./c/", "/a/b/c"),
            ("/a/../..", "/"),
            ("../../x", "/x"),
        ] {
            assert_eq!(clean(path), expected, "{path}");
        }
        assert_eq!(in_workdir("/w", "x/../y"), "/w/y");
        assert_eq!(in_workdir("/w", "/y"), "/y");
        assert_eq!(in_directory("/d/e", "/f"), "/d/e/f");
        assert_eq!(in_directory("/d/e", "../f"), "/d/f");
        assert_eq!(in_directory("/d/e", "../../../f"), "/f");
    }

    #[test]
    fn parts_of_a_path() {
        assert_eq!(base_name("/a/b"), "b");
        assert_eq!(base_name("/"), "");
        assert_eq!(parent("/a/b"), "/a");
        assert_eq!(parent("/a"), "/");
        assert_eq!(below("/m", "/m/f"), Some("/f"));
        assert_eq!(below("/m", "/m"), Some("/"));
        assert_eq!(below("/m", "/mm"), None);
        assert_eq!(below("/", "/x"), Some("/x"));
    }

    #[test]
    fn escapes_looks_at_every_step() {
        for (path, expected) in
            [("../x", true), ("a/../..", true), ("a/../b", false), ("a/../../b/c", true), ("", false)]
        {
            assert_eq!(escapes(path), expected, "{path}");
        }
    }
}
