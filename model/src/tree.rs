//! A snapshot as a value: an LLB output, the empty tree, or a tree that cannot exist.

use std::sync::Arc;

use treenail_llb as llb;

use crate::{CopyFilter, Owner, Platform, paths};

/// Commands that a tree may have behind it before their layers are merged into one.
///
/// # Source
/// A daemon on overlayfs mounts every layer, and the options of a mount fit into one page of 4096 bytes: at seven to
/// ten bytes a layer that is the end of the road near 400 layers. Each command leaves one, file actions between two
/// commands another, and an image may bring 127. What a merge does
/// not carry over is the mode of `/` itself.
const LAYERS: u32 = 150;

/// The content of a directory or a root file system, as a recipe.
///
/// A tree may be *poisoned*: a call that made no sense was accepted, because only using its result is an error.
/// Whatever is made from a poisoned tree is poisoned with the first error.
#[derive(Clone, Debug, Default)]
pub struct Tree {
    output: Option<llb::Output>,
    poison: Option<Arc<str>>,
    /// How many commands have written to it since `base`.
    commands: u32,
    /// The tree before the first of them.
    base: Option<llb::Output>,
    /// The directory of the client's machine that it is, as long as nothing was done to it.
    host: Option<Arc<HostSource>>,
}

/// A directory of the client's machine, as it was asked for.
#[derive(Clone, Debug)]
struct HostSource {
    local: llb::Local,
    is_filtered: bool,
}

impl HostSource {
    fn output(&self) -> llb::Output {
        self.local.clone().output(llb::OpOptions::named(format!("host directory {}", self.local.name)))
    }
}

fn llb_owner(owner: Option<Owner>) -> Option<llb::Owner> {
    owner.map(|owner| llb::Owner::ids(owner.uid, owner.gid))
}

impl Tree {
    /// The empty tree.
    pub fn scratch() -> Self {
        Self::default()
    }

    /// A tree that fails when it is needed, with this text.
    pub fn poisoned(message: impl Into<Arc<str>>) -> Self {
        Self { poison: Some(message.into()), ..Self::default() }
    }

    /// A tree made by an operation.
    pub fn of(output: Option<llb::Output>) -> Self {
        Self { output, ..Self::default() }
    }

    /// The recipe: `None` for the empty tree.
    ///
    /// # Errors
    /// The text of a poisoned tree.
    pub fn output(&self) -> Result<Option<&llb::Output>, Arc<str>> {
        match &self.poison {
            Some(message) => Err(message.clone()),
            None => Ok(self.output.as_ref()),
        }
    }

    /// Why it cannot exist, if so.
    pub fn poison(&self) -> Option<&Arc<str>> {
        self.poison.as_ref()
    }

    /// Is it the empty tree itself (not merely one that holds nothing)?
    pub fn is_scratch(&self) -> bool {
        self.output.is_none() && self.poison.is_none()
    }

    /// The file system of an image. `reference` is canonical and pinned to a digest.
    pub fn image(reference: &str, platform: &Platform) -> Self {
        let options =
            llb::OpOptions::named(format!("from {reference}")).with_platform(llb_platform(platform));
        Self::of(Some(llb::Image::new(reference).output(options)))
    }

    /// The file system of an image that a session offers in one of its stores.
    pub fn offered_image(store: &str, digest: &str, session: &str) -> Self {
        let mut layout = llb::OciLayout::new(format!("treenail/{store}@{digest}"));
        layout.session = Some(session.to_owned());
        layout.store = Some(store.to_owned());
        Self::of(Some(layout.output(llb::OpOptions::named(format!("content {digest}")))))
    }

    /// A directory of the client's machine. A copy stands between the source and its users: without it nothing
    /// behind it would ever be a cache hit in a later session (`mechanisms.md` 1.4).
    ///
    /// `nonce`, when given, makes the daemon read the directory anew.
    pub fn host_directory(
        name: &str,
        session: &str,
        shared_key: &str,
        filter: &CopyFilter,
        nonce: Option<&str>,
    ) -> Self {
        let mut local = llb::Local::new(name);
        local.session = Some(session.to_owned());
        local.shared_key_hint = Some(shared_key.to_owned());
        local.include.clone_from(&filter.include);
        local.exclude.clone_from(&filter.exclude);
        if let Some(nonce) = nonce {
            // A pattern that matches nothing: the only attribute that makes a daemon sync again.
            local.exclude.push(format!("!.treenail-{nonce}"));
        }
        let host = HostSource { local, is_filtered: !filter.is_empty() };
        let mut copy = llb::CopyAction::new(host.output(), "/", "/");
        copy.dir_contents_only = true;
        copy.create_dest_path = true;
        let options = llb::OpOptions::named(format!("copy host directory {name}"));
        let output = llb::Output::file(None, copy, options);
        Self { host: Some(Arc::new(host)), ..Self::of(Some(output)) }
    }

    /// A directory of the client's machine itself, without the copy and without what patterns exclude; nothing for
    /// another tree, and for one whose own patterns these could contradict.
    ///
    /// The root of what was copied has another digest than that of what came from a client, so that only this one meets
    /// what other clients' builds have left in the cache.
    ///
    /// # Source
    /// BuildKit v0.32.2 `cache/contenthash/checksum.go`, `HandleChange` and `scanPath`.
    pub(crate) fn host_source(&self, exclude: &[String]) -> Option<Self> {
        let host = self.host.as_deref().filter(|host| exclude.is_empty() || !host.is_filtered)?;
        let mut source = host.clone();
        // What makes a daemon sync again stands last.
        source.local.exclude.splice(0..0, exclude.iter().cloned());
        Some(Self::of(Some(source.output())))
    }

    /// This tree after a command that has left `output` of it.
    pub(crate) fn after_command(&self, output: Option<llb::Output>) -> Self {
        let base = if self.commands == 0 { self.output.clone() } else { self.base.clone() };
        let commands = self.commands + 1;
        if commands < LAYERS {
            return Self { output, commands, base, ..Self::default() };
        }
        // A daemon mounts the layers of an unbroken chain one by one even in a merge. The empty directory in between
        // breaks the chain, and what follows it is linked into one snapshot.
        let mut empty = llb::MkdirAction::new("/", 0o755);
        empty.make_parents = true;
        let empty = llb::Output::file(None, empty, llb::OpOptions::named("break the chain of layers"));
        let named = |name: &str| llb::OpOptions::named(name);
        let changes = llb::Output::diff(base.clone(), output, named("changes of many commands"));
        Self::of(llb::Output::merge([base, Some(empty), changes], named("merge the layers of many commands")))
    }

    fn with_action(&self, action: impl Into<llb::FileAction>, name: String) -> Self {
        if self.poison.is_some() {
            return self.clone();
        }
        let output = llb::Output::file(self.output.clone(), action, llb::OpOptions::named(name));
        let base = if self.commands == 0 { None } else { self.base.clone() };
        Self { output: Some(output), commands: self.commands, base, ..Self::default() }
    }

    fn with_parent(&self, path: &str) -> Self {
        match paths::parent(path) {
            "/" => self.clone(),
            parent => self.with_new_directory(parent, 0o755),
        }
    }

    /// Poison of either side, this one's first.
    fn poison_with(&self, other: &Self) -> Option<Self> {
        let message = self.poison.as_ref().or(other.poison.as_ref())?;
        Some(Self::poisoned(message.clone()))
    }

    /// Writes a file; missing parents get mode 0755. An existing file keeps its mode, and a link at the path is
    /// written through. Mode 0 means 0644.
    pub(crate) fn with_new_file(&self, path: &str, contents: &[u8], mode: u32, owner: Option<Owner>) -> Self {
        let mode = if mode == 0 { 0o644 } else { mode };
        let mut action = llb::MkfileAction::new(path, mode, contents.to_vec());
        action.owner = llb_owner(owner);
        self.with_parent(path).with_action(action, format!("withNewFile {path}"))
    }

    /// Creates a directory and its missing parents with this mode; existing ones stay as they are.
    pub(crate) fn with_new_directory(&self, path: &str, mode: u32) -> Self {
        if path == "/" {
            return self.clone();
        }
        let mut action = llb::MkdirAction::new(path, mode);
        action.make_parents = true;
        self.with_action(action, format!("withNewDirectory {path}"))
    }

    /// Removes what is at a path; nothing there is no error.
    pub(crate) fn without(&self, path: &str) -> Self {
        let mut action = llb::RmAction::new(path);
        action.allow_not_found = true;
        action.allow_wildcard = path.contains('*');
        if self.is_scratch() {
            return self.clone();
        }
        self.with_action(action, format!("without {path}"))
    }

    /// Makes a symbolic link; missing parents get mode 0755.
    pub(crate) fn with_symlink(&self, target: &str, path: &str) -> Self {
        self.with_parent(path)
            .with_action(llb::SymlinkAction::new(target, path), format!("withSymlink {path} -> {target}"))
    }

    /// Copies one file. When a directory is at `target`, the file goes into it under its own name.
    pub(crate) fn with_copied_file(
        &self,
        from: &Self,
        source: &str,
        target: &str,
        mode: Option<u32>,
        owner: Option<Owner>,
    ) -> Self {
        if let Some(poisoned) = self.poison_with(from) {
            return poisoned;
        }
        let mut copy = llb::CopyAction::new(from.output.clone(), source, target);
        copy.follow_symlink = true;
        copy.create_dest_path = true;
        copy.mode = mode.map(llb::Mode::Bits);
        copy.owner = llb_owner(owner);
        self.with_action(copy, format!("withFile {target}"))
    }

    /// Copies the content of a directory into `target`, which is created.
    pub(crate) fn with_copied_directory(
        &self,
        from: &Self,
        source: &str,
        target: &str,
        filter: &CopyFilter,
        owner: Option<Owner>,
    ) -> Self {
        if let Some(poisoned) = self.poison_with(from) {
            return poisoned;
        }
        if from.is_scratch() {
            return self.with_new_directory(target, 0o755);
        }
        if self.is_scratch() && source == "/" && target == "/" && filter.is_empty() && owner.is_none() {
            return from.clone();
        }
        let mut copy = llb::CopyAction::new(from.output.clone(), source, target);
        copy.dir_contents_only = true;
        copy.create_dest_path = true;
        copy.follow_symlink = true;
        copy.always_replace = true;
        copy.include.clone_from(&filter.include);
        copy.exclude.clone_from(&filter.exclude);
        copy.owner = llb_owner(owner);
        self.with_action(copy, format!("withDirectory {target}"))
    }

    /// Copies with all times set (seconds since 1970); a directory's content, or one file.
    pub(crate) fn with_timestamps(
        &self,
        from: &Self,
        source: &str,
        target: &str,
        timestamp: i64,
        directory: bool,
    ) -> Self {
        if let Some(poisoned) = self.poison_with(from) {
            return poisoned;
        }
        if from.is_scratch() {
            return self.clone();
        }
        let mut copy = llb::CopyAction::new(from.output.clone(), source, target);
        copy.dir_contents_only = directory;
        copy.create_dest_path = true;
        copy.timestamp = Some(timestamp.saturating_mul(1_000_000_000));
        self.with_action(copy, format!("withTimestamps {target}"))
    }

    /// Gives what is at a path another owner, links themselves included.
    pub(crate) fn chowned(&self, path: &str, owner: Owner) -> Self {
        if self.is_scratch() || self.poison.is_some() {
            return self.clone();
        }
        let base = if path == "/" { Self::scratch() } else { self.without(path) };
        let mut copy = llb::CopyAction::new(self.output.clone(), path, path);
        copy.create_dest_path = true;
        copy.dir_contents_only = path == "/";
        copy.owner = llb_owner(Some(owner));
        base.with_action(copy, format!("chown {path}"))
    }

    /// What this tree adds to or changes in `lower`.
    pub(crate) fn difference(&self, lower: &Self) -> Self {
        if let Some(poisoned) = self.poison_with(lower) {
            return poisoned;
        }
        if self.is_scratch() {
            return Self::scratch();
        }
        let options = llb::OpOptions::named("diff");
        Self::of(llb::Output::diff(lower.output.clone(), self.output.clone(), options))
    }
}

/// A platform in LLB's words.
pub(crate) fn llb_platform(platform: &Platform) -> llb::Platform {
    let built = llb::Platform::new(&platform.os, &platform.architecture);
    if platform.variant.is_empty() { built } else { built.with_variant(&platform.variant) }
}
