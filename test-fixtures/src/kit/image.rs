//! Images from folders: one uncompressed layer per folder, a configuration, a manifest.
//!
//! **Invariant:** the same folders give the same digests: entries are sorted, owners numeric, and
//! no time is later than [`LATEST_TIME`].

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{host, upload};

/// Files made by the kit get this time, in seconds since 1970: 2025-01-01.
pub const LATEST_TIME: u64 = 1_735_689_600;

/// Media type of a manifest.
pub(super) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";

/// A layer as a tar file.
#[derive(Debug, Clone)]
pub struct Layer {
    path: PathBuf,
    digest: String,
    size: u64,
}

impl Layer {
    /// Packs what is under `folder`, as root's view of it, into the file `target`.
    ///
    /// `arguments` are handed to GNU tar before the folder's entries: exclusions, renamings.
    ///
    /// # Errors
    /// When tar fails.
    pub fn pack(folder: &Path, target: &Path, arguments: &[String]) -> Result<Self> {
        host::run(
            Command::new("tar")
                .args(["--create", "--sort=name", "--numeric-owner", "--format=posix", "--clamp-mtime"])
                .arg(format!("--mtime=@{LATEST_TIME}"))
                .arg("--pax-option=exthdr.name=%d/PaxHeaders/%f,delete=atime,delete=ctime")
                .arg("--file")
                .arg(target)
                .args(arguments)
                .arg("--directory")
                .arg(folder)
                .arg("."),
        )?;
        let mut file = File::open(target).context("cannot read the layer just packed")?;
        let (digest, size) = digest_of(&mut file)?;
        Ok(Self { path: target.to_path_buf(), digest, size })
    }
}

/// An image to push.
#[derive(Debug)]
pub struct Image<'a> {
    /// Repository, such as `library/alpine`.
    pub name: &'a str,
    /// Tags to push it under.
    pub tags: Vec<String>,
    /// Layers, lowest first.
    pub layers: Vec<Layer>,
    /// The `config` object: `Env`, `Cmd`, `WorkingDir` and so on.
    pub config: Value,
}

impl Image<'_> {
    /// Pushes blobs, then the manifest under every tag, and gives its digest.
    ///
    /// # Errors
    /// When the registry refuses.
    pub fn push(&self, registry: &str) -> Result<String> {
        for layer in &self.layers {
            let mut file = File::open(&layer.path).context("cannot read a layer")?;
            upload::push_blob(registry, self.name, &layer.digest, upload::Body::File(&mut file))?;
        }
        let config = self.configuration().to_string().into_bytes();
        let (config_digest, _) = digest_of(&mut &config[..])?;
        let body = upload::Body::Bytes { media_type: "application/octet-stream", bytes: &config };
        upload::push_blob(registry, self.name, &config_digest, body)?;
        let manifest = self.manifest(&config_digest, config.len()).to_string().into_bytes();
        for tag in &self.tags {
            upload::push_manifest(registry, self.name, tag, MANIFEST, &manifest)?;
        }
        Ok(digest_of(&mut &manifest[..])?.0)
    }

    /// Writes the image as an OCI layout, under its first tag, and gives the digest of its manifest.
    ///
    /// # Errors
    /// When the folder cannot be written.
    ///
    /// # Source
    /// OCI image specification, `image-layout.md`.
    pub fn write_layout(&self, folder: &Path) -> Result<String> {
        let blobs = folder.join("blobs/sha256");
        fs::create_dir_all(&blobs).with_context(|| format!("cannot create folder: `{}`", blobs.display()))?;
        let write = |path: &Path, bytes: &[u8]| {
            fs::write(path, bytes).with_context(|| format!("cannot write: `{}`", path.display()))
        };
        let blob = |digest: &str| blobs.join(digest.trim_start_matches("sha256:"));
        for layer in &self.layers {
            fs::copy(&layer.path, blob(&layer.digest)).context("cannot copy a layer")?;
        }
        let config = self.configuration().to_string().into_bytes();
        let (config_digest, _) = digest_of(&mut &config[..])?;
        write(&blob(&config_digest), &config)?;
        let manifest = self.manifest(&config_digest, config.len()).to_string().into_bytes();
        let (digest, size) = digest_of(&mut &manifest[..])?;
        write(&blob(&digest), &manifest)?;
        let tag = self.tags.first().context("an image in a layout has a tag")?;
        let index = json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.index.v1+json",
            "manifests": [{
                "mediaType": MANIFEST,
                "digest": digest,
                "size": size,
                "annotations": {"org.opencontainers.image.ref.name": tag},
            }],
        });
        write(&folder.join("index.json"), index.to_string().as_bytes())?;
        write(&folder.join("oci-layout"), br#"{"imageLayoutVersion":"1.0.0"}"#)?;
        Ok(digest)
    }

    fn manifest(&self, config_digest: &str, config_size: usize) -> Value {
        let layers: Vec<Value> = self
            .layers
            .iter()
            .map(|layer| json!({"mediaType": LAYER, "digest": layer.digest, "size": layer.size}))
            .collect();
        json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": {"mediaType": CONFIG, "digest": config_digest, "size": config_size},
            "layers": layers,
        })
    }

    fn configuration(&self) -> Value {
        let layers: Vec<&str> = self.layers.iter().map(|layer| layer.digest.as_str()).collect();
        let history: Vec<Value> =
            layers.iter().map(|_| json!({"created_by": "treenail test fixtures"})).collect();
        json!({
            "created": "2025-01-01T00:00:00Z",
            "architecture": architecture(),
            "os": "linux",
            "config": self.config,
            "rootfs": {"type": "layers", "diff_ids": layers},
            "history": history,
        })
    }
}

/// This machine's architecture in the words of OCI.
#[must_use]
pub fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

fn digest_of(reader: &mut impl Read) -> Result<(String, u64)> {
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    let mut size = 0;
    loop {
        let read = reader.read(&mut buffer).context("cannot read bytes to digest")?;
        if read == 0 {
            break;
        }
        hasher.update(&buffer[..read]);
        size += read as u64;
    }
    let hex: String = hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok((format!("sha256:{hex}"), size))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn the_same_tree_gives_the_same_layer() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let digests: Vec<String> = (0..3)
            .map(|round| {
                let tree = folder.path().join(format!("tree{round}"));
                fs::create_dir(&tree).expect("folder");
                let names = ["b", "a", "c"];
                for index in 0..3 {
                    fs::write(tree.join(names[(index + round) % 3]), "x").expect("file");
                }
                symlink("a", tree.join("link")).expect("link");
                let target = folder.path().join(format!("{round}.tar"));
                Layer::pack(&tree, &target, &[]).expect("packs").digest
            })
            .collect();
        assert!(digests[0].starts_with("sha256:"));
        assert_eq!(digests[0], digests[1]);
        assert_eq!(digests[1], digests[2]);
    }

    #[test]
    fn bytes_have_the_known_digest() {
        let (digest, size) = digest_of(&mut &b"abc"[..]).expect("digests");
        assert_eq!(digest, "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!(size, 3);
    }
}
