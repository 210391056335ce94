//! A container as an image: its configuration blob, what several platforms become, names of registries.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::json;

use crate::{Container, Directory, ImageConfig, Invalid, Platform, Reference, Tree};

/// Media types of an image's parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MediaTypes {
    /// Those of the OCI image specification.
    Oci,
    /// Those of Docker's schema 2.
    Docker,
}

/// How layers are compressed, where the caller does not leave it to what they are already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// gzip.
    Gzip,
    /// zstd.
    Zstd,
    /// gzip with an index, readable in parts.
    EStarGz,
    /// Plain archives.
    Uncompressed,
}

impl Compression {
    /// The word of BuildKit's exporters.
    fn word(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
            Self::EStarGz => "estargz",
            Self::Uncompressed => "uncompressed",
        }
    }
}

/// What an exported image is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImageFormat {
    /// Media types.
    pub media_types: MediaTypes,
    /// Compression of all layers; `None` keeps what layers have, and takes gzip for new ones.
    pub compression: Option<Compression>,
}

/// The image of one container, or of several for as many platforms.
#[derive(Clone, Debug)]
pub struct Image(Vec<Arc<Container>>);

impl Image {
    /// The image of a receiver and its variants. Containers without a root file system are left out; of several
    /// for one platform the first stays.
    ///
    /// # Errors
    /// There is nothing to export.
    ///
    /// # Source
    /// `contract/container.md` 6.
    pub fn new(receiver: &Arc<Container>, variants: &[Arc<Container>]) -> Result<Self, Invalid> {
        let mut containers: Vec<Arc<Container>> = Vec::new();
        for container in std::iter::once(receiver).chain(variants) {
            let known = containers.iter().any(|other| other.platform == container.platform);
            if container.rootfs.is_some() && !known {
                containers.push(container.clone());
            }
        }
        if containers.is_empty() {
            return Err(Invalid::new("no containers to export"));
        }
        Ok(Self(containers))
    }

    /// Its containers, each of another platform.
    pub fn containers(&self) -> &[Arc<Container>] {
        &self.0
    }

    /// Is it for one platform only?
    pub fn is_single(&self) -> bool {
        self.0.len() == 1
    }

    /// What exporters read besides the trees: the configurations, and which tree is for which platform.
    ///
    /// # Source
    /// BuildKit v0.32.2 `exporter/containerimage/exptypes/types.go`.
    pub fn metadata(&self) -> BTreeMap<String, Vec<u8>> {
        let config = |container: &Container| config_blob(container).to_string().into_bytes();
        if let [container] = &self.0[..] {
            return BTreeMap::from([("containerimage.config".to_owned(), config(container))]);
        }
        let mut metadata: BTreeMap<String, Vec<u8>> = self
            .0
            .iter()
            .map(|container| (format!("containerimage.config/{}", container.platform), config(container)))
            .collect();
        let platforms: Vec<_> = self
            .0
            .iter()
            .map(|container| json!({ "ID": container.platform.to_string(), "Platform": platform(&container.platform) }))
            .collect();
        metadata
            .insert("refs.platforms".to_owned(), json!({ "Platforms": platforms }).to_string().into_bytes());
        metadata
    }

    /// Attributes of the exporter: annotations, media types, compression.
    ///
    /// Annotations stand on each manifest, and on its descriptor where the media types have room for them.
    ///
    /// # Errors
    /// An annotation whose name cannot be passed on.
    ///
    /// # Source
    /// BuildKit v0.32.2 `exporter/containerimage/exptypes/{keys,annotations}.go`.
    pub fn attributes(&self, format: ImageFormat) -> Result<BTreeMap<String, String>, Invalid> {
        let oci = format.media_types == MediaTypes::Oci;
        let mut attributes = BTreeMap::from([("oci-mediatypes".to_owned(), oci.to_string())]);
        if let Some(compression) = format.compression {
            attributes.insert("compression".to_owned(), compression.word().to_owned());
            attributes.insert("force-compression".to_owned(), "true".to_owned());
        }
        for container in &self.0 {
            let place = if self.is_single() { String::new() } else { format!("[{}]", container.platform) };
            for (name, value) in &container.annotations {
                if name.is_empty() || name.contains(char::is_whitespace) {
                    return Err(Invalid::new(format!("invalid annotation name: {name:?}")));
                }
                attributes.insert(format!("annotation-manifest{place}.{name}"), value.to_string());
                if oci {
                    attributes
                        .insert(format!("annotation-manifest-descriptor{place}.{name}"), value.to_string());
                }
            }
        }
        Ok(attributes)
    }
}

fn platform(platform: &Platform) -> serde_json::Value {
    let mut json = json!({ "architecture": platform.architecture, "os": platform.os });
    if !platform.variant.is_empty() {
        json["variant"] = platform.variant.as_str().into();
    }
    json
}

/// The configuration blob, but for the layers, which the exporter adds.
fn config_blob(container: &Container) -> serde_json::Value {
    let mut json = platform(&container.platform);
    json["config"] = container.config.to_json();
    json
}

impl Container {
    /// Puts an imported image in: its file system and its configuration replace the old ones, the platform stays.
    ///
    /// # Source
    /// `contract/container.md` 1.
    #[must_use]
    pub fn with_imported(&self, tree: Tree, config: ImageConfig) -> Self {
        let mut next = self.changed();
        next.rootfs = Some(Directory::whole(tree, self.platform.clone()));
        next.config = config;
        next.base_config = None;
        next.last_exec = None;
        next.default_args_by_hand = false;
        next
    }
}

/// Where an image is pushed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PushTarget {
    /// Canonical name with a tag: `docker.io/library/x:latest`.
    pub name: String,
    /// The name that is answered, without a digest: with a tag only if one was asked for.
    shown: String,
}

impl PushTarget {
    /// Reads an address.
    ///
    /// # Errors
    /// It is no reference.
    pub fn parse(address: &str) -> Result<Self, Invalid> {
        let reference = Reference::parse(address)
            .map_err(|reason| Invalid::new(format!("failed to parse image address {address}: {reason}")))?;
        let repository = format!("{}/{}", reference.registry(), reference.repository());
        let bare = address.split('@').next().unwrap_or(address);
        let tagged = bare.rsplit('/').next().is_some_and(|last| last.contains(':'));
        let tag = reference.tag().unwrap_or("latest");
        let name = format!("{repository}:{tag}");
        let shown = if tagged { name.clone() } else { repository };
        Ok(Self { name, shown })
    }

    /// What is answered once the image is there.
    pub fn pinned(&self, digest: &str) -> String {
        format!("{}@{digest}", self.shown)
    }
}

/// The registry that an address of `withRegistryAuth` means: without scheme, path, tag and digest; Docker Hub for
/// bare names.
///
/// # Errors
/// It names no registry.
///
/// # Source
/// `contract/container.md` 6.
pub fn registry_host(address: &str) -> Result<String, Invalid> {
    const HUB: &str = "docker.io";
    let refused = || {
        Invalid::new(format!(
            "failed parsing [{address}], expected address format: [registrydomain.extension]"
        ))
    };
    let rest = address.split_once("://").map_or(address, |(_, rest)| rest);
    let rest = rest.split('@').next().unwrap_or(rest);
    let (first, has_path) = rest.split_once('/').map_or((rest, false), |(first, _)| (first, true));
    let (name, port) = match first.rsplit_once(':') {
        Some((name, port)) if !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()) => {
            (name, Some(port))
        }
        // What follows a colon at the end is a tag.
        Some((name, _)) if !has_path => (name, None),
        Some(_) => return Err(refused()),
        None => (first, None),
    };
    let fine =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b'[' | b']' | b':');
    if name.is_empty() || name.starts_with('.') || name.ends_with('.') || !name.bytes().all(fine) {
        return Err(refused());
    }
    if name == HUB || name.ends_with(".docker.io") {
        return Ok(HUB.to_owned());
    }
    match port {
        Some(port) => Ok(format!("{name}:{port}")),
        None if name.contains('.') || name.starts_with("localhost") => Ok(name.to_owned()),
        None => Ok(HUB.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn container(platform: &str) -> Arc<Container> {
        let platform = Platform::parse(platform).unwrap();
        let root = Directory::whole(Tree::scratch(), platform.clone());
        Arc::new(Container::new(platform).with_rootfs(&root))
    }

    const OCI: ImageFormat = ImageFormat { media_types: MediaTypes::Oci, compression: None };

    #[test]
    fn an_image_is_one_container_a_platform() {
        let empty = Arc::new(Container::new(Platform::parse("linux/amd64").unwrap()));
        assert_eq!(
            Image::new(&empty, std::slice::from_ref(&empty)).unwrap_err().0,
            "no containers to export"
        );
        let first = Arc::new(container("linux/amd64").with_config(|config| config.user = "first".into()));
        let image =
            Image::new(&first, &[container("linux/amd64"), container("linux/arm/v7"), empty]).unwrap();
        let platforms: Vec<_> =
            image.containers().iter().map(|container| container.platform.to_string()).collect();
        assert_eq!(platforms, ["linux/amd64", "linux/arm/v7"]);
        let metadata = image.metadata();
        let text = |key: &str| String::from_utf8(metadata[key].clone()).unwrap();
        assert_eq!(
            text("containerimage.config/linux/amd64"),
            r#"{"architecture":"amd64","os":"linux","config":{"User":"first"}}"#
        );
        assert_eq!(
            text("refs.platforms"),
            r#"{"Platforms":[{"ID":"linux/amd64","Platform":{"architecture":"amd64","os":"linux"}},{"ID":"linux/arm/v7","Platform":{"architecture":"arm","os":"linux","variant":"v7"}}]}"#
        );
    }

    #[test]
    fn annotations_go_where_the_media_types_have_room() {
        let annotated =
            Arc::new(container("linux/amd64").with_annotation("a.b", "1").with_annotation("a.b", "2"));
        let image = Image::new(&annotated, &[]).unwrap();
        let attributes = |format| image.attributes(format).unwrap().into_iter().collect::<Vec<_>>();
        let pairs = |list: &[(&str, &str)]| -> Vec<(String, String)> {
            list.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
        };
        assert_eq!(
            attributes(OCI),
            pairs(&[
                ("annotation-manifest-descriptor.a.b", "2"),
                ("annotation-manifest.a.b", "2"),
                ("oci-mediatypes", "true")
            ])
        );
        let docker = ImageFormat { media_types: MediaTypes::Docker, compression: Some(Compression::Zstd) };
        assert_eq!(
            attributes(docker),
            pairs(&[
                ("annotation-manifest.a.b", "2"),
                ("compression", "zstd"),
                ("force-compression", "true"),
                ("oci-mediatypes", "false"),
            ])
        );
        let both = Image::new(&annotated, &[container("linux/arm64")]).unwrap();
        assert!(both.attributes(OCI).unwrap().contains_key("annotation-manifest[linux/amd64].a.b"));
        let strange = Arc::new(container("linux/amd64").with_annotation("a b", "1"));
        assert!(Image::new(&strange, &[]).unwrap().attributes(OCI).is_err());
    }

    #[test]
    fn a_pushed_name_has_a_tag_only_if_one_was_asked_for() {
        for (address, name, shown) in [
            ("x", "docker.io/library/x:latest", "docker.io/library/x@d"),
            ("u/x:1", "docker.io/u/x:1", "docker.io/u/x:1@d"),
            ("localhost:5000/x", "localhost:5000/x:latest", "localhost:5000/x@d"),
            ("localhost:5000/x:latest", "localhost:5000/x:latest", "localhost:5000/x:latest@d"),
        ] {
            let target = PushTarget::parse(address).unwrap();
            assert_eq!((target.name.as_str(), target.pinned("d").as_str()), (name, shown), "{address}");
        }
        assert!(
            PushTarget::parse("Not A Name")
                .unwrap_err()
                .0
                .starts_with("failed to parse image address Not A Name: ")
        );
    }

    #[test]
    fn registries_are_known_by_host() {
        for (address, host) in [
            ("alpine", "docker.io"),
            ("library/alpine:3.22", "docker.io"),
            ("alpine:latest", "docker.io"),
            ("docker.io/u/x", "docker.io"),
            ("https://index.docker.io/v1/", "docker.io"),
            ("registry-1.docker.io", "docker.io"),
            ("ghcr.io", "ghcr.io"),
            ("https://ghcr.io/o/x:1", "ghcr.io"),
            ("ghcr.io/o/x@sha256:00", "ghcr.io"),
            ("localhost", "localhost"),
            ("localhost/x", "localhost"),
            ("localhost:5000/x:1", "localhost:5000"),
            ("127.0.0.1:5000", "127.0.0.1:5000"),
            ("host:5000", "host:5000"),
        ] {
            assert_eq!(registry_host(address).as_deref(), Ok(host), "{address}");
        }
        for address in ["", "/x", "a b", "x:y/z", "ghcr.", "https://"] {
            let text =
                format!("failed parsing [{address}], expected address format: [registrydomain.extension]");
            assert_eq!(registry_host(address).unwrap_err().0, text);
        }
    }
}
