//! What a Container, a Directory, a File or a Secret *is*, each API call on them as a pure function, and their
//! lowering to LLB.
//!
//! Invariant: nothing here is async, reads a clock, an environment or a disk. What needs the world (an image's
//! configuration, an account file) is fetched by the engine first and handed in.

mod address;
mod archive;
mod cache;
mod config;
mod container;
mod directory;
mod dockerfile;
mod download;
mod envfile;
mod error_value;
mod exec;
pub mod expand;
mod file;
mod git;
mod image;
mod inline;
mod json_value;
mod owner;
pub mod paths;
mod platform;
mod reference;
mod replace;
mod secret;
mod tree;
mod value;

pub use address::{Address, GitAddress, SecretAddress};
pub use archive::{Archive, BlobSpan, FoundImage, InvalidArchive, Need, Step, TarWalk};
pub use cache::{CacheVolume, Sharing};
pub use config::{DEFAULT_PATH, Environment, ImageConfig, InvalidImageConfig, ParsedImage, parse_image};
pub use container::{Container, ExposedPort, Located, Mount, MountKind, SecretUse};
pub use directory::{CopyFilter, Directory};
pub use dockerfile::DockerfileBuild;
pub use download::Download;
pub use envfile::{
    ClientEnvironment, ENVFILE_BYTE_LIMIT, ENVFILE_DEPTH_LIMIT, ENVFILE_REFERENCE_LIMIT, ENVFILE_TEXT_LIMIT,
    EnvFile, EnvFileError,
};
pub use error_value::{ErrorValue, ReportedError};
pub use exec::{ExecOptions, ExecOutput, Expect, HELPER_ARCHITECTURES, Helper};
pub use file::File;
pub use git::{
    Checkout, GitAuth, GitFragment, GitLogin, GitRef, GitRefs, GitRepository, GitScheme, GitUrl, NamedCommit,
    ParsedGitUrl, commit as git_commit,
};
pub use image::{Compression, Image, ImageFormat, MediaTypes, PushTarget, registry_host};
pub use inline::{INLINE_LIMIT, INLINE_PATH, InlineImage, LayerImage, archive_frame, sha256};
pub use json_value::{JSON_DEPTH, JSON_LIMIT, JsonValue};
pub use owner::{Owner, OwnerError, OwnerText, Principal};
pub use platform::{Platform, PlatformError};
pub use reference::Reference;
pub use replace::{REPLACED_LIMIT, Replacement};
pub use secret::Secret;
pub use tree::Tree;
pub use value::{FileType, Object, Stat, Value};

/// A call that does not fit the value it is made on. The text is what a 0.19 client expects.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Invalid(pub String);

impl Invalid {
    fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }
}
