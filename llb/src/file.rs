//! File operations: changes to a tree without running a process.
//!
//! Each action is an operation value of its own, so appending one costs the same at any depth. The
//! daemon pays for every vertex with writes to its databases, so marshalling joins actions: a run of
//! small actions (all but copies) on top of each other becomes one vertex, up to
//! [`MAX_ACTIONS`] actions and [`MAX_INLINE_BYTES`] of inline content. A run ends where a tree has
//! another user, since that needs a vertex of its own, or where an action's [`OpOptions`] say something
//! the daemon acts on that the ones before do not. Runs are counted from the bottom, so two chains
//! with a common beginning share their full vertices.
//!
//! A copy is always a vertex of its own: the daemon caches a copy by the content it reads, and an
//! action joined to it would be redone whenever that content changes, or redo the copy.

use std::collections::BTreeSet;

use bytes::Bytes;
use treenail_protos::pb;

use crate::caps;
use crate::options::OpOptions;
use crate::output::{Op, Output};

/// Most actions of one vertex.
pub(crate) const MAX_ACTIONS: usize = 256;
/// Most inline content of one vertex with more than one action, in bytes. A daemon refuses messages
/// above 16 MiB.
pub(crate) const MAX_INLINE_BYTES: usize = 8 << 20;

/// One change to a tree.
#[derive(Clone, Debug)]
pub enum FileAction {
    /// Copies from another tree.
    Copy(Box<CopyAction>),
    /// Writes a file.
    Mkfile(MkfileAction),
    /// Makes a directory.
    Mkdir(MkdirAction),
    /// Makes a symbolic link.
    Symlink(SymlinkAction),
    /// Removes something.
    Rm(RmAction),
}

/// Copies from another tree.
///
/// Paths are absolute and taken as given; a trailing slash or `/.` of `dest` has a meaning.
#[derive(Clone, Debug, Default)]
pub struct CopyAction {
    /// The tree to read; `None` is the empty one.
    pub source: Option<Output>,
    /// Path in the source.
    pub src: String,
    /// Path in the changed tree.
    pub dest: String,
    /// `None` keeps the owners.
    pub owner: Option<Owner>,
    /// `None` keeps the modes.
    pub mode: Option<Mode>,
    /// Follows `src` when it is a link.
    pub follow_symlink: bool,
    /// Copies what is in a directory, not the directory.
    pub dir_contents_only: bool,
    /// Unpacks an archive instead of copying it.
    pub attempt_unpack: bool,
    /// Makes the parents of `dest`.
    pub create_dest_path: bool,
    /// Reads `src` as a pattern.
    pub allow_wildcard: bool,
    /// Copies nothing where a pattern matches nothing.
    pub allow_empty_wildcard: bool,
    /// Copies only what matches; order as given.
    pub include: Vec<String>,
    /// Leaves out what matches; order as given.
    pub exclude: Vec<String>,
    /// Fails where one of these is missing; read with `include` only.
    pub required_paths: Vec<String>,
    /// Replaces what is in the way even if it is of another kind.
    pub always_replace: bool,
    /// Sets all times, in nanoseconds since 1970; `None` keeps them.
    pub timestamp: Option<i64>,
}

/// Writes a file.
#[derive(Clone, Debug, Default)]
pub struct MkfileAction {
    /// Absolute path.
    pub path: String,
    /// Permission bits; only the lowest nine count.
    pub mode: u32,
    /// The content.
    pub data: Bytes,
    /// `None` is root.
    pub owner: Option<Owner>,
    /// In nanoseconds since 1970; `None` is the time of the build.
    pub timestamp: Option<i64>,
}

/// Makes a directory.
#[derive(Clone, Debug, Default)]
pub struct MkdirAction {
    /// Absolute path.
    pub path: String,
    /// Permission bits; only the lowest nine count.
    pub mode: u32,
    /// Makes the parents too, and accepts a directory that is there.
    pub make_parents: bool,
    /// `None` is root.
    pub owner: Option<Owner>,
    /// In nanoseconds since 1970; `None` is the time of the build.
    pub timestamp: Option<i64>,
}

/// Makes a symbolic link.
#[derive(Clone, Debug, Default)]
pub struct SymlinkAction {
    /// What the link says.
    pub target: String,
    /// Where the link is; absolute path.
    pub path: String,
    /// `None` is root.
    pub owner: Option<Owner>,
    /// In nanoseconds since 1970; `None` is the time of the build.
    pub timestamp: Option<i64>,
}

/// Removes a file or a directory with all that is in it.
#[derive(Clone, Debug, Default)]
pub struct RmAction {
    /// Absolute path.
    pub path: String,
    /// Accepts that nothing is there.
    pub allow_not_found: bool,
    /// Reads the path as a pattern.
    pub allow_wildcard: bool,
}

/// Permissions a copy sets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Bits, special ones included.
    Bits(u32),
    /// `u=rwX,go=rX`, or octal digits.
    Text(String),
}

/// An owner; what is `None` stays as it is.
#[derive(Clone, Debug, Default)]
pub struct Owner {
    /// The user.
    pub user: Option<User>,
    /// The group.
    pub group: Option<User>,
}

/// A user or a group.
#[derive(Clone, Debug)]
pub enum User {
    /// By number.
    Id(u32),
    /// By name, looked up in `/etc/passwd` or `/etc/group` of a tree.
    Name {
        /// The name.
        name: String,
        /// The tree with the user files.
        tree: Output,
    },
}

impl Owner {
    /// An owner by numbers.
    pub fn ids(uid: u32, gid: u32) -> Self {
        Self { user: Some(User::Id(uid)), group: Some(User::Id(gid)) }
    }

    fn users(&self) -> impl Iterator<Item = &User> {
        self.user.iter().chain(&self.group)
    }

    fn to_pb(&self, input: &mut dyn FnMut(&Output) -> i64) -> pb::ChownOpt {
        let mut user = |user: &User| pb::UserOpt {
            user: Some(match user {
                User::Id(id) => pb::user_opt::User::ById(*id),
                User::Name { name, tree } => {
                    pb::user_opt::User::ByName(pb::NamedUserOpt { name: name.clone(), input: input(tree) })
                }
            }),
        };
        pb::ChownOpt { user: self.user.as_ref().map(&mut user), group: self.group.as_ref().map(&mut user) }
    }
}

impl CopyAction {
    /// A plain copy of `src` in `source` to `dest`.
    pub fn new(source: impl Into<Option<Output>>, src: impl Into<String>, dest: impl Into<String>) -> Self {
        Self { source: source.into(), src: src.into(), dest: dest.into(), ..Self::default() }
    }
}

impl MkfileAction {
    /// A file of root.
    pub fn new(path: impl Into<String>, mode: u32, data: impl Into<Bytes>) -> Self {
        Self { path: path.into(), mode, data: data.into(), ..Self::default() }
    }
}

impl MkdirAction {
    /// A directory of root, whose parents exist.
    pub fn new(path: impl Into<String>, mode: u32) -> Self {
        Self { path: path.into(), mode, ..Self::default() }
    }
}

impl SymlinkAction {
    /// A link at `path` that says `target`.
    pub fn new(target: impl Into<String>, path: impl Into<String>) -> Self {
        Self { target: target.into(), path: path.into(), ..Self::default() }
    }
}

impl RmAction {
    /// Removes what must be there.
    pub fn new(path: impl Into<String>) -> Self {
        Self { path: path.into(), ..Self::default() }
    }
}

impl From<CopyAction> for FileAction {
    fn from(action: CopyAction) -> Self {
        Self::Copy(Box::new(action))
    }
}

impl From<MkfileAction> for FileAction {
    fn from(action: MkfileAction) -> Self {
        Self::Mkfile(action)
    }
}

impl From<MkdirAction> for FileAction {
    fn from(action: MkdirAction) -> Self {
        Self::Mkdir(action)
    }
}

impl From<SymlinkAction> for FileAction {
    fn from(action: SymlinkAction) -> Self {
        Self::Symlink(action)
    }
}

impl From<RmAction> for FileAction {
    fn from(action: RmAction) -> Self {
        Self::Rm(action)
    }
}

impl Output {
    /// The tree `base` after one change; see the rules for joining actions in this file's head.
    pub fn file(base: impl Into<Option<Self>>, action: impl Into<FileAction>, options: OpOptions) -> Self {
        let base = base.into();
        let platform = base.as_ref().and_then(Self::platform).cloned();
        let action = action.into();
        Self::new(Op::File(FileNode { base, action }), options, platform)
    }
}

/// One action on one tree.
pub(crate) struct FileNode {
    pub(crate) base: Option<Output>,
    pub(crate) action: FileAction,
}

impl FileNode {
    /// Whether the action may share a vertex with others.
    pub(crate) fn is_small(&self) -> bool {
        !matches!(self.action, FileAction::Copy(_))
    }

    /// Bytes of content inside the action.
    pub(crate) fn inline_bytes(&self) -> usize {
        match &self.action {
            FileAction::Mkfile(mkfile) => mkfile.data.len(),
            _ => 0,
        }
    }

    /// Edges but the base: what a copy reads and where names are looked up.
    pub(crate) fn inputs<'a>(&'a self, visit: &mut dyn FnMut(&'a Output)) {
        self.base.iter().for_each(&mut *visit);
        if let FileAction::Copy(copy) = &self.action {
            copy.source.iter().for_each(&mut *visit);
        }
        for user in self.action.owner().into_iter().flat_map(Owner::users) {
            if let User::Name { tree, .. } = user {
                visit(tree);
            }
        }
    }

    pub(crate) fn take_inputs(&mut self, into: &mut Vec<Output>) {
        into.extend(self.base.take());
        let owner = match &mut self.action {
            FileAction::Copy(copy) => {
                into.extend(copy.source.take());
                &mut copy.owner
            }
            FileAction::Mkfile(mkfile) => &mut mkfile.owner,
            FileAction::Mkdir(mkdir) => &mut mkdir.owner,
            FileAction::Symlink(symlink) => &mut symlink.owner,
            FileAction::Rm(_) => return,
        };
        if let Some(Owner { user, group }) = owner.take() {
            for user in [user, group].into_iter().flatten() {
                if let User::Name { tree, .. } = user {
                    into.push(tree);
                }
            }
        }
    }

    /// # Source
    /// BuildKit v0.32.2 `client/llb/fileop.go`, the `addCaps` functions.
    pub(crate) fn capabilities(&self) -> BTreeSet<&'static str> {
        let mut set = BTreeSet::from([caps::FILE_BASE]);
        match &self.action {
            FileAction::Copy(copy) => {
                if !copy.include.is_empty() || !copy.exclude.is_empty() {
                    set.insert(caps::FILE_COPY_INCLUDE_EXCLUDE_PATTERNS);
                }
                if !copy.required_paths.is_empty() {
                    set.insert(caps::FILE_COPY_REQUIRED_PATHS);
                }
                if copy.always_replace {
                    set.insert(caps::FILE_COPY_ALWAYS_REPLACE);
                }
                if matches!(copy.mode, Some(Mode::Text(_))) {
                    set.insert(caps::FILE_COPY_MODE_STRING);
                }
            }
            FileAction::Symlink(_) => {
                set.insert(caps::FILE_SYMLINK_CREATE);
            }
            FileAction::Rm(rm) if rm.allow_wildcard => {
                set.insert(caps::FILE_RM_WILDCARD);
            }
            FileAction::Mkfile(_) | FileAction::Mkdir(_) | FileAction::Rm(_) => {}
        }
        set
    }
}

impl FileAction {
    fn owner(&self) -> Option<&Owner> {
        match self {
            Self::Copy(copy) => copy.owner.as_ref(),
            Self::Mkfile(mkfile) => mkfile.owner.as_ref(),
            Self::Mkdir(mkdir) => mkdir.owner.as_ref(),
            Self::Symlink(symlink) => symlink.owner.as_ref(),
            Self::Rm(_) => None,
        }
    }

    /// The action's message; `input` gives the position of a tree among the inputs.
    pub(crate) fn to_pb(&self, input: &mut dyn FnMut(&Output) -> i64) -> pb::file_action::Action {
        let mut owner = |owner: &Option<Owner>| owner.as_ref().map(|owner| owner.to_pb(input));
        match self {
            Self::Copy(copy) => pb::file_action::Action::Copy(pb::FileActionCopy {
                src: copy.src.clone(),
                dest: copy.dest.clone(),
                owner: owner(&copy.owner),
                mode: match copy.mode {
                    Some(Mode::Bits(bits)) => bits_to_pb(bits),
                    Some(Mode::Text(_)) => 0,
                    None => -1,
                },
                follow_symlink: copy.follow_symlink,
                dir_copy_contents: copy.dir_contents_only,
                attempt_unpack_docker_compatibility: copy.attempt_unpack,
                create_dest_path: copy.create_dest_path,
                allow_wildcard: copy.allow_wildcard,
                allow_empty_wildcard: copy.allow_empty_wildcard,
                timestamp: copy.timestamp.unwrap_or(-1),
                include_patterns: copy.include.clone(),
                exclude_patterns: copy.exclude.clone(),
                always_replace_existing_dest_paths: copy.always_replace,
                mode_str: match &copy.mode {
                    Some(Mode::Text(text)) => text.clone(),
                    _ => String::new(),
                },
                required_paths: copy.required_paths.clone(),
            }),
            Self::Mkfile(mkfile) => pb::file_action::Action::Mkfile(pb::FileActionMkFile {
                path: mkfile.path.clone(),
                mode: bits_to_pb(mkfile.mode & 0o777),
                data: mkfile.data.clone(),
                owner: owner(&mkfile.owner),
                timestamp: mkfile.timestamp.unwrap_or(-1),
            }),
            Self::Mkdir(mkdir) => pb::file_action::Action::Mkdir(pb::FileActionMkDir {
                path: mkdir.path.clone(),
                mode: bits_to_pb(mkdir.mode & 0o777),
                make_parents: mkdir.make_parents,
                owner: owner(&mkdir.owner),
                timestamp: mkdir.timestamp.unwrap_or(-1),
            }),
            Self::Symlink(symlink) => pb::file_action::Action::Symlink(pb::FileActionSymlink {
                oldpath: symlink.target.clone(),
                newpath: symlink.path.clone(),
                owner: owner(&symlink.owner),
                timestamp: symlink.timestamp.unwrap_or(-1),
            }),
            Self::Rm(rm) => pb::file_action::Action::Rm(pb::FileActionRm {
                path: rm.path.clone(),
                allow_not_found: rm.allow_not_found,
                allow_wildcard: rm.allow_wildcard,
            }),
        }
    }
}

/// A name for a run whose actions are too many to be listed in one.
pub(crate) fn run_name(files: &[&FileNode]) -> Option<String> {
    const LISTED: usize = 8;
    if files.len() <= LISTED {
        return None;
    }
    let first = match &files[0].action {
        FileAction::Copy(copy) => format!("copy {}", copy.dest),
        FileAction::Mkfile(mkfile) => format!("mkfile {}", mkfile.path),
        FileAction::Mkdir(mkdir) => format!("mkdir {}", mkdir.path),
        FileAction::Symlink(symlink) => format!("symlink {}", symlink.path),
        FileAction::Rm(rm) => format!("rm {}", rm.path),
    };
    Some(format!("{first} and {} more changes", files.len() - 1))
}

/// The wire has signed modes; the twelve bits that exist always fit.
fn bits_to_pb(bits: u32) -> i32 {
    i32::try_from(bits & 0o7777).expect("twelve bits fit")
}
