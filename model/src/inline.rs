//! Contents too large for a definition: an image with one layer and one file, made in memory.
//!
//! Every solve sends its whole definition, and a daemon takes 16 MiB at most. So a large content given in a call is
//! wrapped as an image that the daemon fetches from the session by digest, once, and knows again in later sessions.

use sha2::{Digest as _, Sha256};

/// Contents above this many bytes are wrapped.
pub const INLINE_LIMIT: usize = 64 << 10;

/// Path of the file in the image.
pub const INLINE_PATH: &str = "/data";

/// An image that holds one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InlineImage {
    /// Layer, configuration and manifest.
    pub blobs: [Vec<u8>; 3],
    /// `sha256:…` of the manifest.
    pub digest: String,
}

impl InlineImage {
    /// Wraps contents. Equal contents give equal images.
    pub fn of(contents: &[u8]) -> Self {
        let layer = archive(contents);
        let image = LayerImage::of(&sha256(&layer), layer.len() as u64);
        Self { blobs: [layer, image.config, image.manifest], digest: image.digest }
    }
}

/// An image around one plain layer that is kept elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayerImage {
    /// Configuration.
    pub config: Vec<u8>,
    /// Manifest.
    pub manifest: Vec<u8>,
    /// `sha256:…` of the manifest.
    pub digest: String,
}

impl LayerImage {
    /// Wraps the layer with this digest and size.
    ///
    /// # Source
    /// OCI image specification, `layer.md`, `config.md`, `manifest.md`.
    pub fn of(layer: &str, size: u64) -> Self {
        let config = format!(
            r#"{{"architecture":"unknown","os":"linux","rootfs":{{"type":"layers","diff_ids":["{layer}"]}}}}"#
        )
        .into_bytes();
        let manifest = format!(
            r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"{}","size":{}}},"layers":[{{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":"{layer}","size":{size}}}]}}"#,
            sha256(&config),
            config.len(),
        )
        .into_bytes();
        let digest = sha256(&manifest);
        Self { config, manifest, digest }
    }
}

/// `sha256:…` of some bytes.
pub fn sha256(bytes: &[u8]) -> String {
    let hash = Sha256::digest(bytes);
    let mut text = String::from("sha256:");
    for byte in hash {
        text.push_str(&format!("{byte:02x}"));
    }
    text
}

/// What stands around the bytes of the one file of a tar archive: before and after them.
///
/// `name` has at most 100 bytes. The file is root's, from 1970.
///
/// # Source
/// POSIX ustar; sizes above 8 GiB as GNU tar writes them.
pub fn archive_frame(name: &str, mode: u32, size: u64) -> (Vec<u8>, Vec<u8>) {
    const BLOCK: usize = 512;
    let mut header = vec![0_u8; BLOCK];
    let mut put = |at: usize, text: &str| header[at..at + text.len()].copy_from_slice(text.as_bytes());
    put(0, &name[..name.floor_char_boundary(100)]);
    put(100, &format!("{:07o}", mode & 0o7777));
    put(108, "0000000");
    put(116, "0000000");
    if size < 1 << 33 {
        put(124, &format!("{size:011o}"));
    }
    put(136, "00000000000");
    put(148, "        ");
    put(156, "0");
    put(257, "ustar");
    put(263, "00");
    if size >= 1 << 33 {
        header[124] = 0x80;
        header[128..136].copy_from_slice(&size.to_be_bytes());
    }
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    let padding = usize::try_from(size.next_multiple_of(BLOCK as u64) - size).unwrap_or(0);
    (header, vec![0; padding + 2 * BLOCK])
}

/// A tar archive with one file.
fn archive(contents: &[u8]) -> Vec<u8> {
    let (head, tail) = archive_frame(INLINE_PATH.trim_start_matches('/'), 0o644, contents.len() as u64);
    [&head, contents, &tail].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_contents_are_equal_images_and_the_archive_is_whole() {
        let image = InlineImage::of(b"hello");
        assert_eq!(image, InlineImage::of(b"hello"));
        assert_ne!(image.digest, InlineImage::of(b"hellp").digest);
        let [layer, config, manifest] = &image.blobs;
        assert_eq!(layer.len(), 512 + 512 + 1024);
        assert_eq!(&layer[512..517], b"hello");
        assert_eq!(&layer[124..136], b"00000000005\0");
        let manifest: serde_json::Value = serde_json::from_slice(manifest).unwrap();
        assert_eq!(manifest["config"]["digest"], sha256(config).as_str());
        assert_eq!(manifest["layers"][0]["size"], layer.len());
        assert_eq!(image.digest, sha256(&image.blobs[2]));
    }

    #[test]
    fn the_sum_of_the_header_is_right() {
        let archive = archive(&[7; 1000]);
        let stated = u32::from_str_radix(std::str::from_utf8(&archive[148..154]).unwrap(), 8).unwrap();
        let sum: u32 = (0..512)
            .map(|at| if (148..156).contains(&at) { u32::from(b' ') } else { u32::from(archive[at]) })
            .sum();
        assert_eq!(stated, sum);
    }
}
