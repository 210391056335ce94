//! Git repositories and what they call their commits; the tree of a commit as a recipe.
//!
//! Invariant: a tree is fetched by its commit alone. No name that a server has chosen is in the source, so a moved
//! branch fails nothing and the same commit is a cache hit in every later session.

mod pattern;
mod refs;
mod url;
mod version;

use std::sync::Arc;

use treenail_call::hash_strings;
use treenail_llb as llb;

pub use refs::{GitRefs, NamedCommit, commit};
pub use url::{GitFragment, GitLogin, GitScheme, GitUrl, ParsedGitUrl};

use crate::Tree;

/// Names under which the daemon's checkout keeps the commit, until they are removed again.
const OWN_REFS: &str = "refs/treenail";

/// How the daemon proves who asks for a repository. Values are served by the session.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum GitAuth {
    /// Not at all.
    #[default]
    None,
    /// By a secret that is the value of the `Authorization` header.
    Header {
        /// Id of the secret.
        secret: Arc<str>,
        /// What it was made from, in `contract/ids.md`'s words: it marks the IDs of what is fetched with it.
        mark: &'static str,
    },
    /// By the keys of an agent.
    Ssh {
        /// Id of the forwarded socket.
        socket: Arc<str>,
        /// Lines of a known hosts file; empty accepts every host.
        known_hosts: Arc<str>,
    },
}

/// A repository, with its names as they were when it was asked.
#[derive(Clone, Debug)]
pub struct GitRepository {
    /// What git is given.
    pub url: Arc<str>,
    /// All names.
    pub refs: Arc<GitRefs>,
    /// How the daemon gets in.
    pub auth: GitAuth,
    /// Keep `.git` in trees that do not say otherwise.
    pub keep_git_dir: bool,
}

/// A commit of a repository, with the name that led to it.
#[derive(Clone, Debug)]
pub struct GitRef {
    /// Where it is.
    pub repository: Arc<GitRepository>,
    /// Name and commit.
    pub named: NamedCommit,
}

/// What of a commit is checked out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Checkout {
    /// Leave `.git` out.
    pub discard_git_dir: bool,
    /// The daemon fetches a commit by its hash alone. One that does not fetches all of the history first.
    pub by_commit: bool,
}

impl GitRepository {
    /// A commit of this repository.
    pub fn at(self: &Arc<Self>, named: NamedCommit) -> GitRef {
        GitRef { repository: self.clone(), named }
    }

    /// What stands for its content in later IDs.
    ///
    /// # Source
    /// `contract/ids.md` 6.
    pub fn content(&self) -> treenail_call::Digest {
        let refs = hash_strings(&[self.refs.fingerprint()]);
        hash_strings(&self.keyed(refs.as_str()))
    }

    fn keyed<'a>(&'a self, what: &'a str) -> Vec<&'a str> {
        let mut parts = vec![&*self.url, what, if self.keep_git_dir { "false" } else { "true" }];
        match &self.auth {
            GitAuth::None => {}
            GitAuth::Ssh { .. } => parts.extend(["sshAuthSock", "true"]),
            GitAuth::Header { mark, .. } => parts.extend([*mark, "true"]),
        }
        parts
    }
}

impl GitRef {
    /// What stands for its content in later IDs.
    ///
    /// # Source
    /// `contract/ids.md` 6.
    pub fn content(&self) -> treenail_call::Digest {
        let named = hash_strings(&[&*self.named.name, &*self.named.commit]);
        hash_strings(&self.repository.keyed(named.as_str()))
    }

    /// The files of the commit, one commit of history deep.
    ///
    /// The daemon's own checkout is detached, under whatever names its copy of the repository has. The `.git` of it is
    /// made into what 0.19.11 gives: a branch is checked out by its name, a tag is there by its name, nothing else is.
    pub fn tree(&self, checkout: Checkout) -> Tree {
        let NamedCommit { name, commit } = &self.named;
        let repository = &self.repository;
        let discard = checkout.discard_git_dir || !repository.keep_git_dir;
        let mut git = llb::Git::new(&*repository.url);
        git.keep_git_dir = !discard;
        git.auth_token_secret = None;
        git.auth_header_secret = None;
        match &repository.auth {
            GitAuth::None => {}
            GitAuth::Header { secret, .. } => git.auth_header_secret = Some(secret.to_string()),
            GitAuth::Ssh { socket, known_hosts } => {
                git.mount_ssh_sock = Some(socket.to_string());
                git.known_ssh_hosts = Some(known_hosts.to_string()).filter(|hosts| !hosts.is_empty());
            }
        }
        git.reference = Some(commit.to_string());
        if checkout.by_commit {
            git.fetch_by_commit = true;
            git.checksum = Some(commit.to_string());
            if !discard {
                // The daemon knows a checkout by commit and name, and writes the address into it: a name made of the
                // address keeps checkouts of a commit that has several apart.
                let digest = hash_strings(&[&*repository.url]);
                let name = digest.as_str().rsplit(':').next().unwrap_or_default();
                git.reference = Some(format!("{OWN_REFS}/{name}"));
            }
        }
        let shown = if name == commit { commit } else { name };
        let source = git.output(llb::OpOptions::named(format!("git {}#{shown}", repository.url)));
        if discard { Tree::of(Some(source)) } else { Tree::of(Some(self.with_names(source))) }
    }

    /// `.git` with this commit's name and no other.
    fn with_names(&self, source: llb::Output) -> llb::Output {
        let NamedCommit { name, commit } = &self.named;
        let line = format!("{commit}\n");
        let mut tree = source;
        let mut act = |action: llb::FileAction| {
            tree =
                llb::Output::file(tree.clone(), action, llb::OpOptions::named("name what was checked out"));
        };
        for path in [OWN_REFS, "refs/tags", "packed-refs", "FETCH_HEAD"] {
            let mut remove = llb::RmAction::new(format!("/.git/{path}"));
            remove.allow_not_found = true;
            act(remove.into());
        }
        let folder = |path: &str| {
            let mut make = llb::MkdirAction::new(format!("/.git/{path}"), 0o755);
            make.make_parents = true;
            llb::FileAction::from(make)
        };
        let file = |path: &str, content: &str| {
            llb::FileAction::from(llb::MkfileAction::new(
                format!("/.git/{path}"),
                0o644,
                content.as_bytes().to_vec(),
            ))
        };
        act(folder("refs/tags"));
        if name != commit {
            act(folder(crate::paths::parent(name)));
            act(file(name, &line));
        }
        act(folder("logs"));
        act(file("logs/HEAD", ""));
        if name.starts_with("refs/heads/") {
            act(file("HEAD", &format!("ref: {name}\n")));
            act(folder(&format!("logs/{}", crate::paths::parent(name))));
            act(file(&format!("logs/{name}"), ""));
        }
        act(file("ORIG_HEAD", &line));
        tree
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reference(name: &str) -> GitRef {
        let refs =
            GitRefs::parse(&format!("{}\trefs/heads/a/b\n{}\trefs/tags/v1", "1".repeat(40), "2".repeat(40)));
        let named = refs.lookup(name).expect("listed");
        let repository = GitRepository {
            url: "https://h/r".into(),
            refs: Arc::new(refs),
            auth: GitAuth::None,
            keep_git_dir: true,
        };
        Arc::new(repository).at(named)
    }

    fn rendered(reference: &GitRef, checkout: Checkout) -> String {
        let tree = reference.tree(checkout);
        let output = tree.output().expect("no poison").expect("a recipe");
        let marshalled = output.marshal(&llb::MarshalOptions::new(llb::Platform::new("linux", "amd64")));
        llb::render(&marshalled.definition)
    }

    #[test]
    fn a_tree_is_fetched_by_its_commit_and_nothing_a_server_says() {
        let by_commit = Checkout { by_commit: true, ..Checkout::default() };
        let branch = rendered(&reference("a/b"), by_commit);
        assert!(branch.contains(&format!("git.checksum={}", "1".repeat(40))), "{branch}");
        assert!(branch.contains("git://h/r#refs/treenail/"), "{branch}");
        assert!(!branch.contains("git://h/r#refs/heads"), "{branch}");
        let bare = rendered(&reference("a/b"), Checkout { discard_git_dir: true, ..by_commit });
        assert!(bare.contains(&format!("git://h/r#{}", "1".repeat(40))), "{bare}");
        assert!(!bare.contains("/.git/"), "{bare}");
        let old = rendered(&reference("v1"), Checkout::default());
        assert!(old.contains(&format!("git://h/r#{}", "2".repeat(40))), "{old}");
        assert!(!old.contains("fetchbycommit"), "{old}");
    }

    #[test]
    fn equal_names_at_one_commit_are_one_content_and_others_are_not() {
        assert_eq!(reference("a/b").content(), reference("refs/heads/a/b").content());
        assert_ne!(reference("a/b").content(), reference("v1").content());
    }
}
