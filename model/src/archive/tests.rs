use super::*;
use crate::archive_frame;

/// An archive with these files.
fn tar(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive = Vec::new();
    for (name, content) in files {
        let (head, tail) = archive_frame(name, 0o644, content.len() as u64);
        archive.extend_from_slice(&head);
        archive.extend_from_slice(content);
        archive.extend_from_slice(&tail[1024..]);
    }
    archive.extend_from_slice(&[0; 1024]);
    archive
}

fn walked(archive: &[u8]) -> Result<TarWalk, InvalidArchive> {
    let mut walk = TarWalk::new(archive.len() as u64);
    loop {
        match walk.step() {
            Step::Done => return Ok(walk),
            Step::Block(at) => walk.block(&archive[at as usize..][..512])?,
            Step::Extension(at, size) => walk.extension(&archive[at as usize..][..size as usize])?,
        }
    }
}

fn found(archive: &[u8], platform: &str, tag: &str) -> Result<FoundImage, InvalidArchive> {
    let mut image = Archive::new(walked(archive)?, Platform::parse(platform).unwrap(), tag)?;
    let bytes = |span: &BlobSpan| &archive[span.offset as usize..][..span.size as usize];
    loop {
        match image.need()? {
            Need::Document(span) => image.document(bytes(&span))?,
            Need::Layers(spans) => {
                let read =
                    spans.iter().map(|span| (sha256(bytes(span)), bytes(span)[..4].to_vec())).collect();
                image.layers_read(read);
            }
            Need::Image(found) => return Ok(found),
        }
    }
}

fn described(kind: &str, bytes: &[u8], more: &str) -> String {
    format!(r#"{{"mediaType":"{kind}","digest":"{}","size":{}{more}}}"#, sha256(bytes), bytes.len())
}

fn path(bytes: &[u8]) -> String {
    format!("blobs/sha256/{}", sha256(bytes).trim_start_matches("sha256:"))
}

const CONFIG: &[u8] = br#"{"os":"linux","architecture":"amd64"}"#;
const LAYER: &[u8] = b"the layer";

fn manifest() -> Vec<u8> {
    format!(r#"{{"config":{},"layers":[{}]}}"#, described("c", CONFIG, ""), described("l", LAYER, ""))
        .into_bytes()
}

/// A layout whose index has this entry for [`manifest`], and whatever else is given.
fn layout(entry: &str, more: &[(&str, &[u8])]) -> Vec<u8> {
    let manifest = manifest();
    let index = format!(r#"{{"schemaVersion":2,"manifests":[{entry}]}}"#);
    let names = [path(&manifest), path(CONFIG), path(LAYER)];
    let mut files: Vec<(&str, &[u8])> = vec![
        ("index.json", index.as_bytes()),
        (&names[0], &manifest),
        (&names[1], CONFIG),
        (&names[2], LAYER),
    ];
    files.extend(more);
    tar(&files)
}

#[test]
fn a_layout_gives_the_image_of_a_platform_and_a_tag() {
    let arm = r#","platform":{"os":"linux","architecture":"arm64","variant":"v8"}"#;
    let amd = r#","platform":{"os":"linux","architecture":"amd64"},"annotations":{"org.opencontainers.image.ref.name":"1.2"}"#;
    let entry =
        format!("{},{}", described(MANIFESTS[0], b"other", arm), described(MANIFESTS[1], &manifest(), amd));
    let archive = layout(&entry, &[]);
    let image = found(&archive, "linux/amd64", "").unwrap();
    assert_eq!((image.config.as_slice(), image.digest), (CONFIG, sha256(&manifest())));
    assert_eq!(image.layers[0].digest.as_deref(), Some(sha256(LAYER).as_str()));
    assert_eq!(&archive[image.layers[0].offset as usize..][..LAYER.len()], LAYER);
    assert!(found(&archive, "linux/amd64", "1.2").is_ok());
    let text = |platform, tag| found(&archive, platform, tag).unwrap_err().to_string();
    assert_eq!(text("linux/amd64", "3"), "no manifest for platform linux/amd64 and tag 3");
    assert_eq!(text("linux/riscv64", ""), "no manifest for platform linux/riscv64 and tag ");
    assert!(text("linux/arm64", "").starts_with("image archive import: sha256:"));
}

#[test]
fn an_index_may_stand_in_an_index_but_nothing_else() {
    let inner = format!(r#"{{"manifests":[{}]}}"#, described(MANIFESTS[0], &manifest(), "")).into_bytes();
    let name = r#","annotations":{"org.opencontainers.image.ref.name":"t"}"#;
    let outer = described(INDEXES[0], &inner, name);
    assert!(found(&layout(&outer, &[(&path(&inner), &inner)]), "linux/amd64", "t").is_ok());
    let strange = described("text/plain", &manifest(), "");
    let error = found(&layout(&strange, &[]), "linux/amd64", "").unwrap_err();
    assert_eq!(error.to_string(), "expected manifest or index, got text/plain");
    let error = found(&tar(&[("index.json", br#"{"mediaType":"x/y"}"#)]), "linux/amd64", "").unwrap_err();
    assert_eq!(error.to_string(), "expected index, got x/y");
}

#[test]
fn a_saved_image_gets_a_manifest() {
    let saved = br#"[{"Config":"c.json","RepoTags":["x:1"],"Layers":["a/layer.tar","./b"]}]"#;
    let archive = tar(&[
        ("manifest.json", saved),
        ("c.json", CONFIG),
        ("a/layer.tar", LAYER),
        ("b", b"\x1f\x8b\x08\x00gz"),
    ]);
    let image = found(&archive, "linux/amd64", "1").unwrap();
    let manifest: serde_json::Value = serde_json::from_slice(&image.manifest).unwrap();
    assert_eq!(manifest["config"]["digest"], sha256(CONFIG));
    assert_eq!(manifest["layers"][0]["digest"], sha256(LAYER));
    assert_eq!(manifest["layers"][0]["mediaType"], "application/vnd.oci.image.layer.v1.tar");
    assert_eq!(manifest["layers"][1]["mediaType"], "application/vnd.oci.image.layer.v1.tar+gzip");
    assert_eq!(
        found(&archive, "linux/amd64", "2").unwrap_err(),
        InvalidArchive::NoManifest("linux/amd64".into(), "2".into())
    );
    assert!(found(&archive, "linux/arm64", "").is_err());
}

#[test]
fn long_names_and_links_are_followed() {
    let name = format!("{}/layer", "n".repeat(150));
    let mut archive = Vec::new();
    let mut add = |name: &str, kind: u8, link: &str, content: &[u8]| {
        let (mut head, tail) = archive_frame(name, 0o644, content.len() as u64);
        head[156] = kind;
        head[157..157 + link.len()].copy_from_slice(link.as_bytes());
        head[148..156].fill(b' ');
        let sum: u32 = head.iter().map(|byte| u32::from(*byte)).sum();
        head[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        archive.extend_from_slice(&head);
        archive.extend_from_slice(content);
        archive.extend_from_slice(&tail[1024..]);
    };
    add("long", b'L', "", format!("{name}\0").as_bytes());
    add("cut", b'0', "", LAYER);
    let record = format!("path={name}2\n");
    let length = record.len() + 4;
    add("pax", b'x', "", format!("{length} {record}").as_bytes());
    add("cut", b'0', "", b"second");
    add("d/link", b'2', "../round", b"");
    add("round", b'2', "d/link", b"");
    add("hard", b'1', "cut2", b"");
    add("cut2", b'0', "", b"third");
    let walk = walked(&archive).unwrap();
    let content = |name: &str| {
        walk.file(name).map(|(offset, size)| archive[offset as usize..][..size as usize].to_vec())
    };
    assert_eq!(content(&name).as_deref(), Some(LAYER));
    assert_eq!(content(&format!("{name}2")).as_deref(), Some(&b"second"[..]));
    assert_eq!(content("hard").as_deref(), Some(&b"third"[..]));
    assert_eq!(content("round"), None);
}

#[test]
fn hostile_archives_end_in_an_error() {
    let text = |archive: &[u8]| found(archive, "linux/amd64", "").unwrap_err().to_string();
    assert_eq!(text(b""), "image archive import: there is neither index.json nor manifest.json");
    assert_eq!(text(&[7; 2048]), "image archive import: archive/tar: invalid tar header");
    // A size beyond the end, in either notation.
    for size in [1 << 32, 1 << 62] {
        let (head, _) = archive_frame("index.json", 0o644, size);
        assert_eq!(text(&[head, vec![0; 4096]].concat()), "image archive import: unexpected EOF");
    }
    // A document too large to be one.
    let large = vec![b' '; MAX_DOCUMENT as usize + 1];
    assert!(text(&tar(&[("index.json", &large)])).contains("a document of"));
    // A digest that leads out, one that lies, a size that lies.
    let entry = |digest: &str, size: usize| {
        format!(r#"{{"mediaType":"{}","digest":"{digest}","size":{size}}}"#, MANIFESTS[0])
    };
    assert!(text(&layout(&entry("sha256:../../etc/passwd", 1), &[])).contains("unsupported digest"));
    let lie = sha256(b"other");
    let blob = path(b"other");
    assert!(text(&layout(&entry(&lie, 4), &[(&blob, b"this")])).contains("has other content"));
    assert!(text(&layout(&entry(&sha256(&manifest()), 1), &[])).contains("instead of 1"));
    // Nesting without end: an index that names itself cannot exist, but a chain can be long.
    let mut inner = br#"{"manifests":[]}"#.to_vec();
    let mut blobs = vec![(path(&inner), inner.clone())];
    for _ in 0..20 {
        inner = format!(r#"{{"manifests":[{}]}}"#, described(INDEXES[0], &inner, "")).into_bytes();
        blobs.push((path(&inner), inner.clone()));
    }
    let mut files: Vec<(&str, &[u8])> =
        blobs.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())).collect();
    files.push(("index.json", &inner));
    assert!(text(&tar(&files)).contains("too deep"));
    let layers = vec!["\"c\""; 1025].join(",");
    let saved = format!(r#"[{{"Config":"c","Layers":[{layers}]}}]"#);
    assert!(
        text(&tar(&[("manifest.json", saved.as_bytes()), ("c", CONFIG)])).contains("more than 1024 layers")
    );
}
