//! Image archives as files of the API: written into one, and read from one.
//!
//! Invariant: neither way holds an archive in memory. What the daemon is to fetch from us is in files without a name,
//! which nothing leaves behind, and is served in ranges.

use std::sync::Arc;

use bytes::Bytes;
use sha2::{Digest as _, Sha256};
use treenail_bridge::{Bridge, ByteRange, Error as BridgeError, Ref};
use treenail_model::{
    Archive, BlobSpan, Container, Directory, File, FoundImage, Image, ImageFormat, LayerImage, MediaTypes,
    Need, Step, TarWalk, Tree, archive_frame, parse_image,
};

use crate::images::archive_exporter;
use crate::{Cause, Engine, ExportTarget, HostError, Ranges};

/// Store of the session with the blobs of imported images and of archives made by [`Engine::archive_file`].
const STORE: &str = "treenail-images";

/// Name of an archive that is a file of the API.
const ARCHIVE_NAME: &str = "container.tar";

/// Bytes read at a time.
const CHUNK: u64 = 4 << 20;

/// Bytes read at a time while looking for headers.
const WINDOW: u64 = 64 << 10;

impl Engine {
    /// An image as an archive that is a file.
    ///
    /// It is made now, not when it is needed: the exporter hands archives to a client alone, so it goes to a file of
    /// ours and is offered back to the daemon, by digest. Equal archives are equal files in all sessions.
    ///
    /// # Errors
    /// What evaluating and exporting gives.
    pub async fn archive_file(&self, image: &Image, format: ImageFormat) -> Result<File, Cause> {
        let mut attributes = image.attributes(format).map_err(Cause::invalid)?;
        if format.media_types == MediaTypes::Oci {
            // The exporter writes the present time into the index, unless there is one already.
            let place = if image.is_single() { "manifest-descriptor" } else { "index-descriptor" };
            let created = format!("annotation-{place}.org.opencontainers.image.created");
            attributes.entry(created).or_insert_with(|| "1970-01-01T00:00:00Z".to_owned());
        }
        let receiving =
            self.export_open(image, archive_exporter(image, attributes), ExportTarget::Nameless).await?;
        let content =
            receiving.received().ok_or_else(|| Cause::Bug("an archive came to nowhere".to_owned()))?;
        receiving.finish().await.map_err(|error| Cause::Host(error.0))?;

        let (head, tail) = archive_frame(ARCHIVE_NAME, 0o600, content.size());
        let layer: Arc<dyn Ranges> = Arc::new(Framed { head: head.into(), content, tail: tail.into() });
        let (digest, _) = self.digest_of(layer.as_ref()).await?;
        let wrapped = LayerImage::of(&digest, layer.size());
        self.0.host.offer_ranges(STORE, &digest, layer);
        self.0.host.offer_blob(STORE, wrapped.config.into());
        self.0.host.offer_blob(STORE, wrapped.manifest.into());
        let tree = Tree::offered_image(STORE, &wrapped.digest, &self.0.host.session());
        Ok(File {
            tree,
            path: format!("/{ARCHIVE_NAME}").into(),
            platform: image.containers()[0].platform.clone(),
        })
    }

    /// A container with the image of an archive.
    ///
    /// The layers are copied to files without a name, from where the daemon fetches them when they are needed, and
    /// checks their digests.
    ///
    /// # Errors
    /// What evaluating the file gives; it is no archive, or has no image for the container's platform and the tag.
    pub async fn import(&self, container: &Container, source: &File, tag: &str) -> Result<Container, Cause> {
        let whole = Directory::whole(source.tree.clone(), source.platform.clone());
        let missing = || Cause::invalid(format!("open {}: no such file or directory", source.name()));
        let stat = self.stat(&whole, &source.path).await?.ok_or_else(missing)?;
        let reference = self.solve(&source.tree).await?.ok_or_else(missing)?;
        let archive = Snapshot {
            bridge: self.0.bridge.clone(),
            reference,
            path: source.path.clone(),
            start: 0,
            size: u64::try_from(stat.size).unwrap_or(0),
        };
        let image = self.find_image(&archive, container, tag).await?;
        let parsed = parse_image(&image.config)
            .map_err(|error| Cause::invalid(format!("image archive import: {error}")))?;
        for span in &image.layers {
            let digest = span.digest.as_deref().unwrap_or_default();
            let layer =
                self.0.host.keep(Arc::new(archive.part(span))).await.map_err(|error| Cause::Host(error.0))?;
            self.0.host.offer_ranges(STORE, digest, layer);
        }
        self.0.host.offer_blob(STORE, image.config.into());
        self.0.host.offer_blob(STORE, image.manifest.into());
        let tree = Tree::offered_image(STORE, &image.digest, &self.0.host.session());
        Ok(container.with_imported(tree, parsed.config))
    }

    async fn find_image(
        &self,
        archive: &Snapshot,
        container: &Container,
        tag: &str,
    ) -> Result<FoundImage, Cause> {
        let mut walk = TarWalk::new(archive.size);
        let mut window = (0, Bytes::new());
        loop {
            match walk.step() {
                Step::Done => break,
                Step::Block(offset) => {
                    let (start, bytes) = &window;
                    let within = offset.checked_sub(*start).filter(|at| at + 512 <= bytes.len() as u64);
                    let block = match within {
                        Some(at) => bytes.slice(at as usize..at as usize + 512),
                        None => {
                            window = (offset, read(archive, offset, WINDOW).await?);
                            window.1.slice(..window.1.len().min(512))
                        }
                    };
                    walk.block(&block).map_err(Cause::invalid)?;
                }
                Step::Extension(offset, size) => {
                    walk.extension(&read(archive, offset, size).await?).map_err(Cause::invalid)?;
                }
            }
        }
        let mut found = Archive::new(walk, container.platform.clone(), tag).map_err(Cause::invalid)?;
        loop {
            match found.need().map_err(Cause::invalid)? {
                Need::Document(span) => {
                    let document = whole(&archive.part(&span)).await?;
                    found.document(&document).map_err(Cause::invalid)?;
                }
                Need::Layers(spans) => {
                    let mut seen = Vec::with_capacity(spans.len());
                    for span in &spans {
                        seen.push(self.digest_of(&archive.part(span)).await?);
                    }
                    found.layers_read(seen);
                }
                Need::Image(image) => return Ok(image),
            }
        }
    }

    /// Digest and first bytes.
    async fn digest_of(&self, bytes: &dyn Ranges) -> Result<(String, Vec<u8>), Cause> {
        let mut hash = Sha256::new();
        let mut first = Vec::new();
        let mut offset = 0;
        while offset < bytes.size() {
            let chunk = read(bytes, offset, CHUNK).await?;
            if offset == 0 {
                first = chunk[..chunk.len().min(4)].to_vec();
            }
            hash.update(&chunk);
            offset += chunk.len() as u64;
        }
        let digest =
            hash.finalize().iter().fold("sha256:".to_owned(), |text, byte| format!("{text}{byte:02x}"));
        Ok((digest, first))
    }
}

/// Reads a range that must not be empty.
async fn read(from: &dyn Ranges, offset: u64, length: u64) -> Result<Bytes, Cause> {
    let bytes = from.read(offset, length.min(from.size().saturating_sub(offset))).await;
    let bytes = bytes.map_err(|error| Cause::Host(error.0))?;
    if bytes.is_empty() && length > 0 {
        return Err(Cause::invalid("image archive import: unexpected EOF"));
    }
    Ok(bytes)
}

/// Reads all of something small.
async fn whole(from: &dyn Ranges) -> Result<Vec<u8>, Cause> {
    let mut all = Vec::new();
    while (all.len() as u64) < from.size() {
        all.extend_from_slice(&read(from, all.len() as u64, CHUNK).await?);
    }
    Ok(all)
}

/// A part of a file in a snapshot of the daemon.
struct Snapshot {
    bridge: Arc<dyn Bridge>,
    reference: Ref,
    path: Arc<str>,
    start: u64,
    size: u64,
}

impl Snapshot {
    /// A part of the whole file.
    fn part(&self, span: &BlobSpan) -> Self {
        Self {
            bridge: self.bridge.clone(),
            reference: self.reference.clone(),
            path: self.path.clone(),
            start: span.offset,
            size: span.size,
        }
    }
}

#[async_trait::async_trait]
impl Ranges for Snapshot {
    fn size(&self) -> u64 {
        self.size
    }

    async fn read(&self, offset: u64, length: u64) -> Result<Bytes, HostError> {
        let length = length.min(self.size.saturating_sub(offset)).min(CHUNK);
        if length == 0 {
            return Ok(Bytes::new());
        }
        let range = ByteRange { offset: self.start + offset, length };
        let read = self.bridge.read_file(&self.reference, &self.path, Some(range), length).await;
        read.map_err(|error: BridgeError| HostError(error.to_string()))
    }
}

/// Bytes with others around them.
struct Framed {
    head: Bytes,
    content: Arc<dyn Ranges>,
    tail: Bytes,
}

#[async_trait::async_trait]
impl Ranges for Framed {
    fn size(&self) -> u64 {
        self.head.len() as u64 + self.content.size() + self.tail.len() as u64
    }

    async fn read(&self, offset: u64, length: u64) -> Result<Bytes, HostError> {
        let (head, content) = (self.head.len() as u64, self.content.size());
        let piece = |bytes: &Bytes, from: u64| {
            let from = usize::try_from(from).unwrap_or(usize::MAX).min(bytes.len());
            let length = usize::try_from(length).unwrap_or(usize::MAX);
            bytes.slice(from..from.saturating_add(length).min(bytes.len()))
        };
        // A read may be short, so each answers from one part alone.
        if offset < head {
            Ok(piece(&self.head, offset))
        } else if offset < head + content {
            self.content.read(offset - head, length.min(head + content - offset)).await
        } else {
            Ok(piece(&self.tail, offset - head - content))
        }
    }
}
