//! The machine of a build's client, as far as a build sees it: a build context and images that stand for others.

use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::OnceCell;
use treenail_bridge::Bridge;
use treenail_engine::{
    Document, ExportTarget, GitFailure, GitRemote, Host, HostError, Ranges, Receiving, SecretValue,
    SharedDirectory, WantedDirectory,
};
use treenail_llb::ResolveMode;
use treenail_model::{GitLogin, GitUrl, Helper, Reference};
use treenail_patterns::ignore_file;

use crate::file;
use crate::options::{Options, name_of};

/// Bytes of contents in a definition: no message of the daemon is larger than 16 MiB, and other vertices stand
/// beside them.
const INLINE_LIMIT: usize = 8 << 20;

/// What [`crate::door`] keeps from being asked.
const NOT_HERE: &str = "a build has no machine to do that on";

/// The client's machine.
pub(crate) struct BuildHost {
    options: Arc<Options>,
    bridge: Arc<dyn Bridge>,
    helper: Helper,
    document: Arc<dyn Document>,
    /// The ignore file beside the build file, which goes before that of the context.
    ignore: Option<String>,
    excluded: OnceCell<Vec<String>>,
}

impl BuildHost {
    pub(crate) fn new(
        options: Arc<Options>,
        bridge: Arc<dyn Bridge>,
        helper: Helper,
        document: Arc<dyn Document>,
        ignore: Option<String>,
    ) -> Self {
        Self { options, bridge, helper, document, ignore, excluded: OnceCell::new() }
    }

    /// What the context's client does not want to be sent.
    async fn excluded(&self) -> Result<Vec<String>, HostError> {
        let read = || async {
            let text = match &self.ignore {
                Some(text) => Some(text.clone()),
                None => file::context_ignore(self.bridge.as_ref(), &self.options.context_source)
                    .await
                    .map_err(|error| HostError(error.to_string()))?,
            };
            Ok::<_, HostError>(text.map(|text| ignore_file(&text)).unwrap_or_default())
        };
        self.excluded.get_or_try_init(read).await.cloned()
    }
}

#[async_trait::async_trait]
impl Host for BuildHost {
    fn helper(&self) -> Helper {
        self.helper.clone()
    }

    fn document(&self) -> Option<Arc<dyn Document>> {
        Some(self.document.clone())
    }

    fn replaced_image(&self, address: &Reference) -> Option<String> {
        self.options.images.get(&name_of(address)).cloned()
    }

    fn resolve_mode(&self) -> Option<ResolveMode> {
        self.options.resolve_mode
    }

    fn inline_limit(&self) -> usize {
        INLINE_LIMIT
    }

    /// Paths start at the build context, which is the root as well.
    fn resolve(&self, path: &str) -> PathBuf {
        let mut resolved = PathBuf::from("/");
        for part in Path::new(path).components() {
            match part {
                Component::Normal(name) => resolved.push(name),
                // One above the root stays, so that it can be refused.
                Component::ParentDir if resolved.parent().is_none() || resolved.ends_with("..") => {
                    resolved.push("..");
                }
                Component::ParentDir => drop(resolved.pop()),
                Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
            }
        }
        resolved
    }

    async fn share(&self, wanted: WantedDirectory) -> Result<SharedDirectory, HostError> {
        if wanted.path.components().any(|part| part == Component::ParentDir) {
            return Err(HostError(format!(
                "{} is outside of the build context, and a build sees nothing else of its client's machine",
                wanted.path.strip_prefix("/").unwrap_or(&wanted.path).display()
            )));
        }
        let context = &self.options.context_source;
        Ok(SharedDirectory {
            name: context.name.clone(),
            session: context.session.clone(),
            shared_key: context.name.clone(),
            below: wanted.path.to_string_lossy().trim_start_matches('/').to_owned(),
            exclude: self.excluded().await?,
        })
    }

    async fn find_up(&self, _: &str) -> Result<Option<String>, HostError> {
        Err(HostError(NOT_HERE.to_owned()))
    }

    fn variable(&self, _: &str) -> Option<String> {
        None
    }

    async fn read_secret(&self, _: &str) -> Result<Bytes, HostError> {
        Err(HostError(NOT_HERE.to_owned()))
    }

    fn session(&self) -> String {
        self.options.session.clone()
    }

    fn offer_blob(&self, _: &str, _: Bytes) {}

    fn offer_ranges(&self, _: &str, _: &str, _: Arc<dyn Ranges>) {}

    async fn keep(&self, _: Arc<dyn Ranges>) -> Result<Arc<dyn Ranges>, HostError> {
        Err(HostError(NOT_HERE.to_owned()))
    }

    fn offer_secret(&self, _: &str, _: SecretValue) {}

    fn log_in(&self, _: &str, _: &str, _: &str) {}

    fn log_out(&self, _: &str) {}

    async fn git_refs(&self, _: &GitRemote) -> Result<String, GitFailure> {
        Err(GitFailure::NoProgram)
    }

    async fn git_login(&self, _: &GitUrl) -> Option<GitLogin> {
        None
    }

    fn forward_agent(&self) -> Option<String> {
        None
    }

    fn secret_salt(&self) -> Option<Vec<u8>> {
        None
    }

    async fn receive(&self, _: ExportTarget) -> Result<Box<dyn Receiving>, HostError> {
        Err(HostError(NOT_HERE.to_owned()))
    }
}
