//! LLB as values: build a graph, marshal it to stable bytes.
//!
//! A graph is made of [`Output`]s. Each is a shared pointer to an immutable operation and the number
//! of one of its results, so cloning is cheap and adding an operation costs the same at any depth.
//! The empty tree (scratch) is `None` of `Option<Output>`; functions that take a tree accept both.
//!
//! ```
//! use treenail_llb::{Exec, Image, MarshalOptions, MkdirAction, OpOptions, Output, Platform};
//!
//! let base = Image::new("docker.io/library/alpine:3.22").output(OpOptions::default());
//! let tree = Output::file(base, MkdirAction::new("/src", 0o755), OpOptions::default());
//! let exec = Exec::new(tree, ["sh", "-c", "echo hi > /src/out"]).run()?;
//! let root = exec.root().expect("the root mount is writable");
//! let marshalled = root.marshal(&MarshalOptions::new(Platform::new("linux", "amd64")));
//! assert_eq!(marshalled.definition.def.len(), 4);
//! # Ok::<(), treenail_llb::Error>(())
//! ```
//!
//! Invariant: marshalling is a pure function of the graph and the options. Everything that ends in a
//! digest is ordered here: sets are sorted, lists stay as given.
//! Invariant: no function recurses over the depth of a graph; building, marshalling and dropping a
//! chain take linear time and constant stack.
//! Boundary: this crate knows no GraphQL, no calls (an [`Origin`] is an opaque tag), no IO.
//!
//! # Source
//! Names, numbers and defaults follow BuildKit v0.32.2: `solver/pb/ops.proto`, `solver/pb/attr.go`,
//! `solver/pb/caps.go` and what the Go package `client/llb` emits for the same graph.

mod build;
pub mod caps;
mod diff;
mod digest;
mod error;
mod exec;
mod file;
mod git;
mod given;
mod hold;
mod http;
mod image;
mod json;
mod local;
mod marshal;
mod merge;
mod mount;
mod options;
mod output;
mod platform;
mod render;
mod source;
mod wire;

pub use digest::Digest;
pub use error::{DefinitionError, DigestError, Error};
pub use exec::{Device, Exec, Execution, HostEntry, Network, Proxy, SecretEnv, Security, Ulimit};
pub use file::{
    CopyAction, FileAction, MkdirAction, MkfileAction, Mode, Owner, RmAction, SymlinkAction, User,
};
pub use git::Git;
pub use http::Http;
pub use image::{Image, OciLayout, ResolveMode};
pub use local::{Differ, Local};
pub use marshal::{Locate, MarshalOptions, Marshalled};
pub use mount::{Access, Bind, Cache, ContentCache, Mount, MountKind, Secret, Sharing, Ssh};
pub use options::{
    LinuxResources, OpOptions, Origin, ProgressGroup, SourceFile, SourceLocation, SourceRange,
};
pub use output::{Identity, Output};
pub use platform::Platform;
pub use render::render;
pub use source::Source;
pub use wire::encode_op;
