//! Image archives: an OCI layout or what `docker save` writes, read without unpacking.
//!
//! Invariant: an archive is hostile. Entries, names and documents are bounded; names are looked up, never opened; sizes
//! are compared with what is there.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::{Platform, sha256};

/// Entries of an archive at most.
const MAX_ENTRIES: usize = 1 << 14;
/// Longest name of an entry that is kept, in bytes: nothing that is looked for is called longer.
const MAX_NAME: usize = 512;
/// Largest JSON document, in bytes.
const MAX_DOCUMENT: u64 = 8 << 20;
/// Largest extended header, in bytes.
const MAX_EXTENSION: u64 = 1 << 20;
/// Layers of an image at most.
const MAX_LAYERS: usize = 1024;
/// Indexes within indexes at most.
const MAX_DEPTH: usize = 8;
/// Bytes of a header.
const BLOCK: u64 = 512;

/// Why an archive cannot be imported. The text is what a 0.19 client expects.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidArchive {
    /// The bytes are no image archive.
    #[error("image archive import: {0}")]
    Broken(String),
    /// It holds no image for this platform (and tag).
    #[error("no manifest for platform {0} and tag {1}")]
    NoManifest(String, String),
    /// Its index is something else.
    #[error("expected index, got {0}")]
    NoIndex(String),
    /// Its index names something else.
    #[error("expected manifest or index, got {0}")]
    Strange(String),
}

fn broken(text: impl Into<String>) -> InvalidArchive {
    InvalidArchive::Broken(text.into())
}

/// Where a blob's bytes are in the archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlobSpan {
    /// `sha256:…`; `None` where only reading tells.
    pub digest: Option<String>,
    /// First byte.
    pub offset: u64,
    /// Number of bytes.
    pub size: u64,
}

// ---- tar -----------------------------------------------------------------------------------------------------

/// What the walk over an archive needs next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The block of 512 bytes at this offset, for [`TarWalk::block`].
    Block(u64),
    /// This range, for [`TarWalk::extension`]: a long name.
    Extension(u64, u64),
    /// Nothing: the archive is read.
    Done,
}

/// Walks over the headers of a tar archive; contents are jumped over.
#[derive(Debug)]
pub struct TarWalk {
    size: u64,
    position: u64,
    extension: Option<(u8, u64, u64)>,
    long_name: Option<String>,
    long_size: Option<u64>,
    long_link: Option<String>,
    done: bool,
    seen: usize,
    files: BTreeMap<String, (u64, u64)>,
    links: BTreeMap<String, String>,
}

impl TarWalk {
    /// A walk over an archive with this many bytes.
    pub fn new(size: u64) -> Self {
        Self {
            size,
            position: 0,
            extension: None,
            long_name: None,
            long_size: None,
            long_link: None,
            done: false,
            seen: 0,
            files: BTreeMap::new(),
            links: BTreeMap::new(),
        }
    }

    /// What is needed next.
    pub fn step(&self) -> Step {
        match self.extension {
            _ if self.done => Step::Done,
            Some((_, offset, size)) => Step::Extension(offset, size),
            None if self.position.saturating_add(BLOCK) > self.size => Step::Done,
            None => Step::Block(self.position),
        }
    }

    /// Takes a header.
    ///
    /// # Errors
    /// It is none, or says more than fits.
    ///
    /// # Source
    /// POSIX ustar and pax; GNU tar's long names and sizes.
    pub fn block(&mut self, block: &[u8]) -> Result<(), InvalidArchive> {
        let invalid = || broken("archive/tar: invalid tar header");
        let block: &[u8; BLOCK as usize] = block.try_into().map_err(|_| broken("unexpected EOF"))?;
        if block.iter().all(|byte| *byte == 0) {
            self.done = true;
            return Ok(());
        }
        let stated = octal(&block[148..156]).ok_or_else(invalid)?;
        let sum: u64 = block
            .iter()
            .enumerate()
            .map(|(at, byte)| if (148..156).contains(&at) { 32 } else { u64::from(*byte) })
            .sum();
        if stated != sum {
            return Err(invalid());
        }
        self.seen += 1;
        if self.seen > MAX_ENTRIES {
            return Err(broken(format!("more than {MAX_ENTRIES} entries")));
        }
        let kind = block[156];
        let mut size = number(&block[124..136]).ok_or_else(invalid)?;
        let extension = matches!(kind, b'x' | b'L' | b'K');
        if !extension && let Some(long) = self.long_size.take() {
            size = long;
        }
        // Links and folders have no content, whatever they say.
        let content = if matches!(kind, b'1'..=b'6') { 0 } else { size };
        let offset = self.position + BLOCK;
        let end = offset
            .checked_add(content)
            .filter(|end| *end <= self.size)
            .ok_or_else(|| broken("unexpected EOF"))?;
        self.position = end.checked_next_multiple_of(BLOCK).ok_or_else(invalid)?;
        if extension {
            if size > MAX_EXTENSION {
                return Err(broken("a header is too long"));
            }
            self.extension = Some((kind, offset, size));
            return Ok(());
        }
        let (name, link) = (self.long_name.take(), self.long_link.take());
        let name = name.unwrap_or_else(|| {
            let (prefix, name) = (text(&block[345..500]), text(&block[..100]));
            if &block[257..262] == b"ustar" && block[262] == 0 && !prefix.is_empty() {
                format!("{prefix}/{name}")
            } else {
                name
            }
        });
        let name = clean(&name);
        if name.len() > MAX_NAME {
            return Ok(());
        }
        let target = link.unwrap_or_else(|| text(&block[157..257]));
        match kind {
            b'0' | 0 | b'7' => {
                self.files.insert(name, (offset, size));
            }
            b'1' | b'2' if target.len() <= MAX_NAME => {
                // A hard link starts at the root, a symbolic one where it is.
                let folder =
                    if kind == b'1' { "" } else { name.rsplit_once('/').map_or("", |(folder, _)| folder) };
                let target = clean(&format!("{folder}/{target}"));
                self.links.insert(name, target);
            }
            _ => {}
        }
        Ok(())
    }

    /// Takes the content of an extension.
    ///
    /// # Errors
    /// It is malformed.
    pub fn extension(&mut self, content: &[u8]) -> Result<(), InvalidArchive> {
        let Some((kind, ..)) = self.extension.take() else { return Ok(()) };
        match kind {
            b'L' => self.long_name = Some(text(content)),
            b'K' => self.long_link = Some(text(content)),
            _ => {
                let mut rest = content;
                while !rest.is_empty() {
                    let (record, after) =
                        pax_record(rest).ok_or_else(|| broken("archive/tar: invalid tar header"))?;
                    match record {
                        (b"path", value) => self.long_name = Some(text(value)),
                        (b"linkpath", value) => self.long_link = Some(text(value)),
                        (b"size", value) => {
                            self.long_size =
                                std::str::from_utf8(value).ok().and_then(|digits| digits.parse().ok());
                        }
                        _ => {}
                    }
                    rest = after;
                }
            }
        }
        Ok(())
    }

    fn file(&self, name: &str) -> Option<(u64, u64)> {
        let mut name = name.to_owned();
        // A link may lead to a link, and may lead in circles.
        for _ in 0..MAX_DEPTH {
            match self.links.get(&name) {
                Some(target) if !self.files.contains_key(&name) => name.clone_from(target),
                _ => break,
            }
        }
        self.files.get(&name).copied()
    }
}

fn text(field: &[u8]) -> String {
    let end = field.iter().position(|byte| *byte == 0).unwrap_or(field.len());
    String::from_utf8_lossy(&field[..end]).into_owned()
}

fn octal(field: &[u8]) -> Option<u64> {
    let digits = text(field);
    let digits = digits.trim();
    if digits.is_empty() { Some(0) } else { u64::from_str_radix(digits, 8).ok() }
}

/// An octal number, or GNU tar's binary one.
fn number(field: &[u8]) -> Option<u64> {
    match field.split_first() {
        Some((0x80, rest)) => {
            let (high, low) = rest.split_at(rest.len().checked_sub(8)?);
            high.iter()
                .all(|byte| *byte == 0)
                .then(|| low.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte)))
        }
        Some((first, _)) if first & 0x80 != 0 => None,
        _ => octal(field),
    }
}

/// A key and its value.
type Record<'a> = (&'a [u8], &'a [u8]);

/// Splits `LENGTH KEY=VALUE\n` off.
fn pax_record(rest: &[u8]) -> Option<(Record<'_>, &[u8])> {
    let space = rest.iter().position(|byte| *byte == b' ')?;
    let length: usize = std::str::from_utf8(&rest[..space]).ok()?.parse().ok()?;
    let record = rest.get(space + 1..length)?.strip_suffix(b"\n")?;
    let equals = record.iter().position(|byte| *byte == b'=')?;
    Some(((&record[..equals], &record[equals + 1..]), &rest[length..]))
}

/// A name as it is looked up: relative, without `.` and `..`.
fn clean(name: &str) -> String {
    crate::paths::clean(name).trim_start_matches('/').to_owned()
}

// ---- layout --------------------------------------------------------------------------------------------------

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor {
    #[serde(default)]
    media_type: String,
    digest: String,
    size: u64,
    #[serde(default)]
    platform: Option<PlatformJson>,
    #[serde(default)]
    annotations: Option<BTreeMap<String, String>>,
}

#[derive(Clone, Debug, Deserialize)]
struct PlatformJson {
    #[serde(default)]
    os: String,
    #[serde(default)]
    architecture: String,
    #[serde(default)]
    variant: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct IndexJson {
    #[serde(default)]
    media_type: Option<String>,
    #[serde(default)]
    manifests: Vec<Descriptor>,
}

#[derive(Debug, Deserialize)]
struct ManifestJson {
    config: Descriptor,
    #[serde(default)]
    layers: Vec<Descriptor>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SavedJson {
    config: String,
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
    #[serde(default)]
    layers: Option<Vec<String>>,
}

const INDEXES: [&str; 2] =
    ["application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json"];
const MANIFESTS: [&str; 2] =
    ["application/vnd.oci.image.manifest.v1+json", "application/vnd.docker.distribution.manifest.v2+json"];
const REF_NAME: &str = "org.opencontainers.image.ref.name";

/// What reading an archive needs next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Need {
    /// The bytes of this document, for [`Archive::document`].
    Document(BlobSpan),
    /// The digests and first bytes of these layers, for [`Archive::layers_read`].
    Layers(Vec<BlobSpan>),
    /// Nothing: the image is found.
    Image(FoundImage),
}

/// An image of an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundImage {
    /// Its configuration blob.
    pub config: Vec<u8>,
    /// Its manifest: one of the archive, or one made for what `docker save` wrote.
    pub manifest: Vec<u8>,
    /// `sha256:…` of the manifest.
    pub digest: String,
    /// Its layers. All have digests.
    pub layers: Vec<BlobSpan>,
}

/// Finds the image for a platform in an archive whose headers are walked.
#[derive(Debug)]
pub struct Archive {
    walk: TarWalk,
    platform: Platform,
    tag: String,
    depth: usize,
    state: State,
}

#[derive(Debug)]
enum State {
    Index(BlobSpan),
    Manifest(BlobSpan),
    Config { span: BlobSpan, manifest: Vec<u8>, layers: Vec<BlobSpan> },
    Saved(BlobSpan),
    SavedConfig { waiting: Vec<(BlobSpan, Vec<String>)>, span: BlobSpan, layers: Vec<String> },
    SavedLayers { config: Vec<u8>, layers: Vec<BlobSpan> },
    Found(FoundImage),
}

impl Archive {
    /// Begins to look for an image. `tag` is empty for any.
    ///
    /// # Errors
    /// It is no image archive.
    pub fn new(walk: TarWalk, platform: Platform, tag: &str) -> Result<Self, InvalidArchive> {
        let span = |name: &str| walk.file(name).map(|(offset, size)| BlobSpan { digest: None, offset, size });
        let state = match (span("index.json"), span("manifest.json")) {
            (Some(index), _) => State::Index(index),
            (None, Some(saved)) => State::Saved(saved),
            (None, None) => return Err(broken("there is neither index.json nor manifest.json")),
        };
        Ok(Self { walk, platform, tag: tag.to_owned(), depth: 0, state })
    }

    /// What is needed next.
    ///
    /// # Errors
    /// A document is larger than any that makes sense.
    pub fn need(&self) -> Result<Need, InvalidArchive> {
        let document = match &self.state {
            State::Index(span)
            | State::Manifest(span)
            | State::Saved(span)
            | State::Config { span, .. }
            | State::SavedConfig { span, .. } => span,
            State::SavedLayers { layers, .. } => return Ok(Need::Layers(layers.clone())),
            State::Found(image) => return Ok(Need::Image(image.clone())),
        };
        if document.size > MAX_DOCUMENT {
            return Err(broken(format!("a document of {} bytes", document.size)));
        }
        Ok(Need::Document(document.clone()))
    }

    /// Takes a document.
    ///
    /// # Errors
    /// It does not fit its digest, does not parse, or leads nowhere.
    pub fn document(&mut self, bytes: &[u8]) -> Result<(), InvalidArchive> {
        let Need::Document(span) = self.need()? else { return Ok(()) };
        if bytes.len() as u64 != span.size {
            return Err(broken("unexpected EOF"));
        }
        if let Some(digest) = &span.digest
            && *digest != sha256(bytes)
        {
            return Err(broken(format!("{digest} has other content")));
        }
        self.state = match &mut self.state {
            State::Index(_) => self.follow_index(bytes)?,
            State::Manifest(_) => {
                let manifest: ManifestJson = json(bytes)?;
                if manifest.layers.len() > MAX_LAYERS {
                    return Err(broken(format!("more than {MAX_LAYERS} layers")));
                }
                let layers =
                    manifest.layers.iter().map(|layer| self.blob(layer)).collect::<Result<_, _>>()?;
                State::Config { span: self.blob(&manifest.config)?, manifest: bytes.to_vec(), layers }
            }
            State::Config { manifest, layers, .. } => State::Found(FoundImage {
                config: bytes.to_vec(),
                digest: sha256(manifest),
                manifest: std::mem::take(manifest),
                layers: std::mem::take(layers),
            }),
            State::Saved(_) => self.follow_saved(bytes)?,
            State::SavedConfig { waiting, layers, .. } => {
                let stated: PlatformJson = json(bytes)?;
                let (waiting, layers) = (std::mem::take(waiting), std::mem::take(layers));
                if self.fits(&stated) {
                    let layers =
                        layers.iter().map(|name| self.saved_layer(name)).collect::<Result<_, _>>()?;
                    State::SavedLayers { config: bytes.to_vec(), layers }
                } else {
                    self.next_saved(waiting)?
                }
            }
            State::SavedLayers { .. } | State::Found(_) => return Ok(()),
        };
        Ok(())
    }

    /// Takes the digests and the first four bytes of the layers that were needed, in their order.
    pub fn layers_read(&mut self, read: Vec<(String, Vec<u8>)>) {
        let State::SavedLayers { config, layers } = &mut self.state else { return };
        let config = std::mem::take(config);
        let layers: Vec<BlobSpan> = std::mem::take(layers)
            .into_iter()
            .zip(&read)
            .map(|(span, (digest, _))| BlobSpan { digest: Some(digest.clone()), ..span })
            .collect();
        let described: Vec<_> = layers
            .iter()
            .zip(&read)
            .map(|(span, (digest, first))| {
                let suffix = match first[..] {
                    [0x1f, 0x8b, ..] => "+gzip",
                    [0x28, 0xb5, 0x2f, 0xfd] => "+zstd",
                    _ => "",
                };
                let media_type = format!("application/vnd.oci.image.layer.v1.tar{suffix}");
                serde_json::json!({ "mediaType": media_type, "digest": digest, "size": span.size })
            })
            .collect();
        let manifest = serde_json::json!({
            "schemaVersion": 2,
            "mediaType": MANIFESTS[0],
            "config": {
                "mediaType": "application/vnd.oci.image.config.v1+json",
                "digest": sha256(&config),
                "size": config.len(),
            },
            "layers": described,
        });
        let manifest = manifest.to_string().into_bytes();
        self.state = State::Found(FoundImage { config, digest: sha256(&manifest), manifest, layers });
    }

    fn follow_index(&mut self, bytes: &[u8]) -> Result<State, InvalidArchive> {
        let index: IndexJson = json(bytes)?;
        if let Some(kind) = &index.media_type
            && !INDEXES.contains(&kind.as_str())
        {
            return Err(InvalidArchive::NoIndex(kind.clone()));
        }
        let tagged = |entry: &Descriptor| {
            let name = entry.annotations.as_ref().and_then(|annotations| annotations.get(REF_NAME));
            self.tag.is_empty() || name.is_some_and(|name| *name == self.tag)
        };
        let chosen = index.manifests.iter().find(|entry| {
            entry.platform.as_ref().is_none_or(|platform| self.fits(platform)) && tagged(entry)
        });
        let Some(chosen) = chosen else {
            return Err(InvalidArchive::NoManifest(self.platform.to_string(), self.tag.clone()));
        };
        let span = self.blob(chosen)?;
        if MANIFESTS.contains(&chosen.media_type.as_str()) {
            return Ok(State::Manifest(span));
        }
        if !INDEXES.contains(&chosen.media_type.as_str()) {
            return Err(InvalidArchive::Strange(chosen.media_type.clone()));
        }
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(broken("indexes are nested too deep"));
        }
        // The tag has chosen among images; what is inside one is chosen by platform.
        self.tag.clear();
        Ok(State::Index(span))
    }

    fn follow_saved(&self, bytes: &[u8]) -> Result<State, InvalidArchive> {
        let saved: Vec<SavedJson> = json(bytes)?;
        let mut waiting = Vec::new();
        for image in saved {
            let tags = image.repo_tags.unwrap_or_default();
            let tagged =
                tags.iter().any(|name| name.rsplit_once(':').is_some_and(|(_, tag)| tag == self.tag));
            if !self.tag.is_empty() && !tagged {
                continue;
            }
            let layers = image.layers.unwrap_or_default();
            if layers.len() > MAX_LAYERS {
                return Err(broken(format!("more than {MAX_LAYERS} layers")));
            }
            let (offset, size) =
                self.walk.file(&clean(&image.config)).ok_or_else(|| missing(&image.config))?;
            waiting.push((BlobSpan { digest: None, offset, size }, layers));
        }
        waiting.reverse();
        self.next_saved(waiting)
    }

    fn next_saved(&self, mut waiting: Vec<(BlobSpan, Vec<String>)>) -> Result<State, InvalidArchive> {
        match waiting.pop() {
            Some((span, layers)) => Ok(State::SavedConfig { waiting, span, layers }),
            None => Err(InvalidArchive::NoManifest(self.platform.to_string(), self.tag.clone())),
        }
    }

    fn saved_layer(&self, name: &str) -> Result<BlobSpan, InvalidArchive> {
        let (offset, size) = self.walk.file(&clean(name)).ok_or_else(|| missing(name))?;
        Ok(BlobSpan { digest: None, offset, size })
    }

    fn blob(&self, descriptor: &Descriptor) -> Result<BlobSpan, InvalidArchive> {
        let hex = descriptor.digest.strip_prefix("sha256:").filter(|hex| {
            hex.len() == 64 && hex.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
        });
        let hex = hex.ok_or_else(|| broken(format!("unsupported digest: {:?}", descriptor.digest)))?;
        let (offset, size) =
            self.walk.file(&format!("blobs/sha256/{hex}")).ok_or_else(|| missing(&descriptor.digest))?;
        if size != descriptor.size {
            return Err(broken(format!(
                "{} has {size} bytes instead of {}",
                descriptor.digest, descriptor.size
            )));
        }
        Ok(BlobSpan { digest: Some(descriptor.digest.clone()), offset, size })
    }

    fn fits(&self, stated: &PlatformJson) -> bool {
        Platform::new(&stated.os, &stated.architecture, stated.variant.as_deref().unwrap_or_default())
            == self.platform
    }
}

fn missing(name: &str) -> InvalidArchive {
    let short: String = name.chars().take(200).collect();
    broken(format!("{short}: not found"))
}

fn json<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, InvalidArchive> {
    serde_json::from_slice(bytes).map_err(|error| broken(error.to_string()))
}

#[cfg(test)]
mod tests;
