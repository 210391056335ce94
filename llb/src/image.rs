//! Images: from a registry, or from an OCI layout that the session serves.

use crate::caps;
use crate::digest::Digest;
use crate::options::OpOptions;
use crate::output::Output;
use crate::source::Source;

/// Where the daemon looks for an image first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResolveMode {
    /// Asks the registry, whatever the daemon has.
    Pull,
    /// Takes an image of the daemon's own store if there is one.
    Local,
}

impl ResolveMode {
    /// The mode as the daemon spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pull => "pull",
            Self::Local => "local",
        }
    }
}

/// An image in a registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// The whole reference, host and tag or digest included: `docker.io/library/alpine:3.22`.
    pub reference: String,
    /// `None` leaves it to the daemon.
    pub resolve_mode: Option<ResolveMode>,
    /// How the use is recorded; `internal` hides it.
    pub record_type: Option<String>,
    /// Takes only the first layers.
    pub layer_limit: Option<u32>,
    /// What the reference must resolve to.
    pub checksum: Option<Digest>,
}

impl Image {
    /// An image by its full reference, which is taken as given.
    pub fn new(reference: impl Into<String>) -> Self {
        Self {
            reference: reference.into(),
            resolve_mode: None,
            record_type: None,
            layer_limit: None,
            checksum: None,
        }
    }

    /// The image's tree.
    pub fn output(self, options: OpOptions) -> Output {
        Source::from(self).output(options)
    }
}

impl From<Image> for Source {
    /// # Source
    /// BuildKit v0.32.2 `client/llb/source.go`, `Image`; only the enforced mode asks for its capability.
    fn from(image: Image) -> Self {
        let mut source = Self::new(format!("docker-image://{}", image.reference));
        source.cap(caps::SOURCE_IMAGE);
        match image.resolve_mode {
            Some(ResolveMode::Pull) => {
                source.attr("image.resolvemode", "pull");
                source.cap(caps::SOURCE_IMAGE_RESOLVE_MODE);
            }
            Some(ResolveMode::Local) => source.attr("image.resolvemode", "local"),
            None => {}
        }
        source.optional("image.recordtype", image.record_type, None);
        source.optional(
            "image.layerlimit",
            image.layer_limit.map(|limit| limit.to_string()),
            Some(caps::SOURCE_IMAGE_LAYER_LIMIT),
        );
        source.optional(
            "image.checksum",
            image.checksum.map(|digest| digest.to_string()),
            Some(caps::SOURCE_IMAGE_CHECKSUM),
        );
        source
    }
}

/// An image in a content store of the session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OciLayout {
    /// `name@sha256:…`
    pub reference: String,
    /// Whose store; `None` for the session of the request.
    pub session: Option<String>,
    /// The store's name; `None` takes the reference's name.
    pub store: Option<String>,
    /// Takes only the first layers.
    pub layer_limit: Option<u32>,
}

impl OciLayout {
    /// An image by name and digest.
    pub fn new(reference: impl Into<String>) -> Self {
        Self { reference: reference.into(), session: None, store: None, layer_limit: None }
    }

    /// The image's tree.
    pub fn output(self, options: OpOptions) -> Output {
        Source::from(self).output(options)
    }
}

impl From<OciLayout> for Source {
    fn from(layout: OciLayout) -> Self {
        let mut source = Self::new(format!("oci-layout://{}", layout.reference));
        source.cap(caps::SOURCE_OCI_LAYOUT);
        source.optional("oci.session", layout.session, None);
        source.optional("oci.store", layout.store, None);
        source.optional("oci.layerlimit", layout.layer_limit.map(|limit| limit.to_string()), None);
        source
    }
}
