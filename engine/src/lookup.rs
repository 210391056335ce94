//! Look-ups that need the world but make nothing: images, platforms, owners, host directories.

use std::sync::Arc;

use futures::FutureExt;
use treenail_bridge::ResolveSource;
use treenail_model::{
    Container, CopyFilter, Directory, FileType, Located, Owner, OwnerText, ParsedImage, Platform, Tree,
};
use treenail_model::{File, INLINE_PATH, InlineImage, Principal, Reference, parse_image};
use treenail_protos::pb;

use crate::{Cause, Engine, WantedDirectory};

/// Store of the session with the contents of [`Engine::inline_file`].
const INLINE_STORE: &str = "treenail-inline";

/// An image as a registry answered for it.
#[derive(Clone, Debug)]
pub struct ResolvedImage {
    /// Canonical reference pinned to a digest: `docker.io/library/alpine:3.22@sha256:…`.
    pub pinned: String,
    /// Its configuration for the platform asked for.
    pub image: ParsedImage,
}

impl Engine {
    /// The daemon's own platform.
    pub fn default_platform(&self) -> Platform {
        self.0.bridge.capabilities().workers.first().and_then(|worker| worker.platforms.first()).map_or_else(
            || Platform::new("linux", std::env::consts::ARCH, ""),
            |platform| Platform::new(&platform.os, &platform.architecture, &platform.variant),
        )
    }

    /// Resolves an image address for a platform: tag to digest, and the configuration. Once a session.
    ///
    /// # Errors
    /// The address is no reference; the registry has no such image.
    pub async fn resolve_image(
        &self,
        address: &str,
        platform: &Platform,
    ) -> Result<Arc<ResolvedImage>, Cause> {
        let parse = |address: &str| {
            Reference::parse(address).map_err(|reason| {
                Cause::invalid(format!("failed to parse image address {address}: {reason}"))
            })
        };
        let mut reference = parse(address)?;
        if let Some(other) = self.0.host.replaced_image(&reference) {
            reference = parse(&other)?;
        }
        let name = format!("{}/{}", reference.registry(), reference.repository());
        // A tag is added only where neither tag nor digest is given.
        let tag = match (reference.tag(), reference.digest()) {
            (Some(tag), _) => format!(":{tag}"),
            (None, Some(_)) => String::new(),
            (None, None) => ":latest".to_owned(),
        };
        let asked = match reference.digest() {
            Some(digest) => format!("{name}{tag}@{digest}"),
            None => format!("{name}{tag}"),
        };
        let key = (asked.clone(), platform.to_string());
        let engine = self.clone();
        let (address, platform) = (address.to_owned(), platform.clone());
        let run = move || {
            async move {
                let fail = |reason: String| {
                    Cause::invalid(format!(
                        "failed to resolve image {address:?} (platform: {:?}): {reason}",
                        platform.to_string()
                    ))
                };
                // What runs later is pinned by digest, so the mode matters here alone.
                let mode = engine
                    .0
                    .host
                    .resolve_mode()
                    .map(|mode| ("image.resolvemode".to_owned(), mode.as_str().to_owned()));
                let request = ResolveSource {
                    source: pb::SourceOp {
                        identifier: format!("docker-image://{asked}"),
                        attrs: mode.into_iter().collect(),
                    },
                    platform: Some(pb::Platform {
                        os: platform.os.clone(),
                        architecture: platform.architecture.clone(),
                        variant: platform.variant.clone(),
                        ..Default::default()
                    }),
                    log_name: format!("resolve image {asked}"),
                };
                let metadata =
                    engine.0.bridge.resolve_source(request).await.map_err(|error| fail(error.to_string()))?;
                let (digest, config) =
                    metadata.image.ok_or_else(|| fail("buildkitd answered without an image".to_owned()))?;
                let image = parse_image(&config).map_err(|error| fail(error.to_string()))?;
                Ok(Arc::new(ResolvedImage { pinned: format!("{name}{tag}@{digest}"), image }))
            }
            .boxed()
        };
        self.0.images.run(key, run).await
    }

    /// Resolves an owner for a container; names are looked up in its account files.
    ///
    /// # Errors
    /// No such user or group; what evaluating the container gives.
    pub async fn owner_in(&self, container: &Container, text: &str) -> Result<Option<Owner>, Cause> {
        let Some(owner) = OwnerText::parse(text) else { return Ok(None) };
        if !owner.needs_accounts() {
            return owner.numeric(text).map(Some).map_err(Cause::invalid);
        }
        let passwd = self.account_file(container, "/etc/passwd").await?;
        let group = self.account_file(container, "/etc/group").await?;
        if passwd.is_none() && matches!(owner.user, Principal::Name(_)) {
            return Err(Cause::invalid("open /etc/passwd: no such file or directory"));
        }
        owner
            .resolve(&passwd.unwrap_or_default(), &group.unwrap_or_default())
            .map(Some)
            .map_err(Cause::invalid)
    }

    async fn account_file(&self, container: &Container, path: &str) -> Result<Option<String>, Cause> {
        match container.locate(path).map_err(Cause::invalid)? {
            Located::In(directory, below) => self.read_text_if_any(&directory, &below).await,
            Located::File(file) => {
                Ok(Some(String::from_utf8_lossy(&self.read_file(&file).await?).into_owned()))
            }
        }
    }

    /// Uploads a directory of the client and answers it as a snapshot.
    ///
    /// Patterns that are absolute or start with `../` are ignored; `.` stands for `*`. `nonce` reads it anew.
    ///
    /// # Errors
    /// The directory does not exist or cannot be read.
    pub async fn host_directory(
        &self,
        path: &str,
        filter: &CopyFilter,
        gitignore: bool,
        nonce: Option<&str>,
    ) -> Result<Directory, Cause> {
        let wanted = WantedDirectory { path: self.0.host.resolve(path), gitignore };
        let shared = self.0.host.share(wanted).await.map_err(|error| Cause::Host(error.0))?;
        let usable = |patterns: &[String]| -> Vec<String> {
            patterns
                .iter()
                .filter(|pattern| !pattern.starts_with('/') && !pattern.starts_with("../"))
                .map(|pattern| if pattern == "." { "*".to_owned() } else { pattern.clone() })
                .collect()
        };
        let below = shared.below.trim_matches('/');
        let placed = |patterns: Vec<String>| -> Vec<String> {
            patterns.into_iter().map(|pattern| placed_below(below, &pattern)).collect()
        };
        let mut filter =
            CopyFilter { include: placed(usable(&filter.include)), exclude: placed(usable(&filter.exclude)) };
        if filter.include.is_empty() && !below.is_empty() {
            filter.include.push(below.to_owned());
        }
        filter.exclude.splice(0..0, shared.exclude);
        let tree = Tree::host_directory(&shared.name, &shared.session, &shared.shared_key, &filter, nonce);
        let whole = Directory::whole(tree, self.default_platform());
        self.solve(&whole.tree).await?;
        if below.is_empty() {
            return Ok(whole);
        }
        match self.stat(&whole, below).await? {
            Some(stat) if stat.file_type == FileType::Directory => Ok(whole.sub(below)),
            Some(_) => Err(Cause::Host(format!("{path}: not a directory"))),
            None => Err(Cause::Host(format!("{path}: no such file or directory"))),
        }
    }

    /// A file with contents too large to stand in a definition. Nothing runs: the daemon fetches them when it needs
    /// them, and not again where it has them.
    pub fn inline_file(&self, contents: &[u8]) -> File {
        let image = InlineImage::of(contents);
        for blob in image.blobs {
            self.0.host.offer_blob(INLINE_STORE, blob.into());
        }
        let tree = Tree::offered_image(INLINE_STORE, &image.digest, &self.0.host.session());
        File { tree, path: INLINE_PATH.into(), platform: self.default_platform() }
    }

    /// A text that no other call gets, for sources that are read anew.
    pub fn nonce(&self) -> String {
        uuid::Uuid::new_v4().simple().to_string()
    }
}

/// A pattern that means below a directory what it means on its own.
fn placed_below(directory: &str, pattern: &str) -> String {
    if directory.is_empty() {
        return pattern.to_owned();
    }
    match pattern.strip_prefix('!') {
        Some(rest) => format!("!{directory}/{rest}"),
        None => format!("{directory}/{pattern}"),
    }
}
