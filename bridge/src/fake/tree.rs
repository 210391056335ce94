//! Trees in memory: what a fake result holds.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::{Error, Stat};

/// Links followed before a loop is assumed; the kernel's number.
const LINKS: u32 = 40;

/// What stands at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// A directory.
    Directory,
    /// A file and its bytes.
    File(Bytes),
    /// A symbolic link and its target.
    Link(String),
}

/// One entry of a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// What it is.
    pub content: Content,
    /// Permission bits.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
}

impl Node {
    /// A directory of root, mode 0755.
    pub fn directory() -> Self {
        Self { content: Content::Directory, mode: 0o755, uid: 0, gid: 0 }
    }

    /// A file of root, mode 0644.
    pub fn file(data: impl Into<Bytes>) -> Self {
        Self { content: Content::File(data.into()), mode: 0o644, uid: 0, gid: 0 }
    }

    /// A symbolic link.
    pub fn link(target: &str) -> Self {
        Self { content: Content::Link(target.to_owned()), mode: 0o777, uid: 0, gid: 0 }
    }

    fn is_directory(&self) -> bool {
        self.content == Content::Directory
    }
}

/// A file tree. Paths are given with or without the leading slash; the root always exists.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tree {
    // Invariant: clean relative paths; every parent of a path is a directory in the map, the root being implied.
    nodes: BTreeMap<String, Node>,
}

impl Tree {
    /// The tree with a file in it, its parents made.
    #[must_use]
    pub fn with_file(mut self, path: &str, data: impl Into<Bytes>) -> Self {
        self.put(path, Node::file(data));
        self
    }

    /// The tree with any entry in it, its parents made.
    #[must_use]
    pub fn with(mut self, path: &str, node: Node) -> Self {
        self.put(path, node);
        self
    }

    /// Puts an entry at a path, its parents made; a directory keeps what is inside.
    pub fn put(&mut self, path: &str, node: Node) {
        let path = clean(path);
        if path.is_empty() {
            return;
        }
        for (slash, _) in path.match_indices('/') {
            let parent = self.nodes.entry(path[..slash].to_owned()).or_insert_with(Node::directory);
            if !parent.is_directory() {
                *parent = Node::directory();
            }
        }
        if !node.is_directory() {
            self.remove(&path);
        }
        self.nodes.insert(path, node);
    }

    /// Removes a path and what is below; says whether there was anything.
    pub fn remove(&mut self, path: &str) -> bool {
        let path = clean(path);
        let before = self.nodes.len();
        self.nodes.retain(|key, _| !is_within(key, &path));
        before != self.nodes.len()
    }

    /// The entry at a path, no link followed; `None` for the root, too.
    pub fn get(&self, path: &str) -> Option<&Node> {
        self.nodes.get(&clean(path))
    }

    /// The bytes of a file, no link followed.
    pub fn file(&self, path: &str) -> Option<&Bytes> {
        match &self.get(path)?.content {
            Content::File(data) => Some(data),
            _ => None,
        }
    }

    /// Paths and entries, parents first.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Node)> {
        self.nodes.iter().map(|(path, node)| (path.as_str(), node))
    }

    /// The tree below a path, links followed.
    pub(super) fn subtree(&self, path: &str) -> Result<Self, Error> {
        let path = self.resolve(path)?;
        let nodes = self
            .nodes
            .iter()
            .filter_map(|(key, node)| Some((below(key, &path)?.to_owned(), node.clone())))
            .collect();
        Ok(Self { nodes })
    }

    /// Lays another tree over this one.
    pub(super) fn overlay(&mut self, upper: &Self) {
        for (path, node) in upper.iter() {
            self.put(path, node.clone());
        }
    }

    /// What the upper tree has that this one has not, or has otherwise.
    pub(super) fn difference(&self, upper: &Self) -> Self {
        let mut result = Self::default();
        for (path, node) in upper.iter().filter(|(path, node)| self.get(path) != Some(node)) {
            result.put(path, node.clone());
        }
        result
    }

    pub(super) fn is_directory(&self, path: &str) -> bool {
        let path = clean(path);
        path.is_empty() || self.nodes.get(&path).is_some_and(Node::is_directory)
    }

    /// The path behind all links, clean.
    pub(super) fn resolve(&self, path: &str) -> Result<String, Error> {
        let missing = || Error::NotFound { path: path.to_owned() };
        let mut todo: Vec<String> = clean(path).split('/').rev().map(str::to_owned).collect();
        let mut at = String::new();
        let mut links = 0;
        while let Some(part) = todo.pop() {
            match part.as_str() {
                "" | "." => continue,
                ".." => {
                    at.truncate(at.rfind('/').unwrap_or(0));
                    continue;
                }
                _ => {}
            }
            let next = if at.is_empty() { part } else { format!("{at}/{part}") };
            let node = self.nodes.get(&next).ok_or_else(missing)?;
            match &node.content {
                Content::Link(target) => {
                    links += 1;
                    if links > LINKS {
                        return Err(missing());
                    }
                    if target.starts_with('/') {
                        at.clear();
                    }
                    todo.extend(target.split('/').rev().map(str::to_owned));
                }
                Content::File(_) if !todo.is_empty() => {
                    return Err(Error::NotDirectory { path: path.to_owned() });
                }
                _ => at = next,
            }
        }
        Ok(at)
    }

    pub(super) fn read(&self, path: &str) -> Result<Bytes, Error> {
        match self.nodes.get(&self.resolve(path)?).map(|node| &node.content) {
            Some(Content::File(data)) => Ok(data.clone()),
            _ => Err(Error::NotRegular { path: path.to_owned() }),
        }
    }

    pub(super) fn stat(&self, path: &str) -> Result<Stat, Error> {
        let real = self.resolve(path)?;
        let name = path.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
        Ok(self.nodes.get(&real).map_or_else(|| stat(name, &Node::directory()), |node| stat(name, node)))
    }

    pub(super) fn list(&self, path: &str) -> Result<Vec<Stat>, Error> {
        let real = self.resolve(path)?;
        if !self.is_directory(&real) {
            return Err(Error::NotDirectory { path: path.to_owned() });
        }
        let children = self.nodes.iter().filter_map(|(key, node)| Some((below(key, &real)?, node)));
        Ok(children.filter(|(name, _)| !name.contains('/')).map(|(name, node)| stat(name, node)).collect())
    }
}

fn stat(name: &str, node: &Node) -> Stat {
    let (bits, size, link) = match &node.content {
        Content::Directory => (1 << 31, 0, ""),
        Content::File(data) => (0, data.len(), ""),
        Content::Link(target) => (1 << 27, target.len(), target.as_str()),
    };
    Stat {
        path: name.to_owned(),
        mode: bits | node.mode,
        uid: node.uid,
        gid: node.gid,
        size: i64::try_from(size).unwrap_or(i64::MAX),
        mod_time: 0,
        link_name: link.to_owned(),
    }
}

/// Without leading, doubled and trailing slashes, `.` and `..` resolved by text.
pub(super) fn clean(path: &str) -> String {
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
    parts.join("/")
}

/// What follows `folder` in a path below it.
fn below<'a>(path: &'a str, folder: &str) -> Option<&'a str> {
    if folder.is_empty() {
        return Some(path);
    }
    path.strip_prefix(folder)?.strip_prefix('/')
}

fn is_within(path: &str, folder: &str) -> bool {
    path == folder || below(path, folder).is_some()
}

#[cfg(test)]
mod tests {
    use super::{Node, Tree};
    use crate::Error;

    #[test]
    fn links_lead_inside_the_tree() {
        let tree = Tree::default()
            .with_file("/etc/os", "linux")
            .with("/abs", Node::link("/etc"))
            .with("/opt/up", Node::link("../../../etc/os"))
            .with("/loop", Node::link("loop"));
        assert_eq!(tree.read("/abs/os").expect("through an absolute link"), "linux");
        assert_eq!(tree.read("opt/up").expect("the root is the top"), "linux");
        assert!(matches!(tree.read("/loop"), Err(Error::NotFound { .. })));
        assert!(matches!(tree.list("/etc/os/x"), Err(Error::NotDirectory { .. })));
        let names: Vec<_> = tree.list("/").expect("a root").into_iter().map(|stat| stat.path).collect();
        assert_eq!(names, ["abs", "etc", "loop", "opt"]);
    }
}
