//! A stock buildkitd: what it uploads, keeps and hands back.

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::sync::Arc;

use futures::FutureExt;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use prost::Message;
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use tokio::net::UnixStream;
use tokio_util::sync::CancellationToken;
use tonic::transport::{Channel, Endpoint};
use treenail_protos::moby::buildkit::v1::control_client::ControlClient;
use treenail_protos::moby::buildkit::v1::{Exporter, SolveRequest};
use treenail_protos::pb;
use treenail_session::{
    Connect, ContentStores, LocalRoot, Locals, Receivers, Services, Session, SessionOptions, State,
};

/// The path of the test daemon's socket.
fn socket() -> Option<String> {
    let daemon = treenail_test_fixtures::daemon()?;
    Some(daemon.address().strip_prefix("unix://").expect("a unix socket").to_owned())
}

/// Makes connections; each cut of the token ends those made so far.
fn connector(socket: String, cut: Arc<Mutex<CancellationToken>>) -> Connect {
    Arc::new(move || {
        let (socket, cut) = (socket.clone(), cut.lock().clone());
        async move {
            let connect = tower::service_fn(move |_| {
                let (socket, cut) = (socket.clone(), cut.clone());
                async move {
                    let mut daemon = UnixStream::connect(socket).await?;
                    let (ours, mut theirs) = tokio::io::duplex(1 << 20);
                    tokio::spawn(async move {
                        tokio::select! {
                            () = cut.cancelled() => {}
                            // How a connection ends is seen by those who use it.
                            _ = tokio::io::copy_bidirectional(&mut theirs, &mut daemon) => {}
                        }
                    });
                    Ok::<_, std::io::Error>(TokioIo::new(ours))
                }
            });
            let endpoint = Endpoint::from_static("http://localhost")
                .initial_stream_window_size(1 << 20)
                .initial_connection_window_size(4 << 20);
            Ok(endpoint.connect_with_connector(connect).await?)
        }
        .boxed()
    })
}

async fn channel(socket: &str) -> Channel {
    connector(socket.to_owned(), Arc::default())().await.expect("connected")
}

async fn open(socket: &str, key: &str, services: Services) -> Session {
    let options = SessionOptions::new("session test", key);
    Session::start(connector(socket.to_owned(), Arc::default()), options, services).await.expect("opened")
}

/// Uploads `name` from a session, copies it, and exports the copy into another if there is one.
async fn run(
    socket: &str,
    from: &Session,
    name: &str,
    attributes: &[(&str, &str)],
    to: Option<&Session>,
) -> Result<(), tonic::Status> {
    let mut attrs = vec![("local.session", from.id()), ("local.sharedkeyhint", name)];
    attrs.extend(attributes);
    copy(socket, &format!("local://{name}"), &attrs, from, to).await
}

/// Copies what a source gives, and exports the copy if there is a session to export into.
async fn copy(
    socket: &str,
    identifier: &str,
    attributes: &[(&str, &str)],
    from: &Session,
    to: Option<&Session>,
) -> Result<(), tonic::Status> {
    let attrs = attributes.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    let source = pb::SourceOp { identifier: identifier.to_owned(), attrs };
    let copy = pb::FileActionCopy {
        src: "/".into(),
        dest: "/".into(),
        mode: -1,
        timestamp: -1,
        dir_copy_contents: true,
        ..Default::default()
    };
    let action = pb::FileAction {
        input: -1,
        secondary_input: 0,
        output: 0,
        action: Some(pb::file_action::Action::Copy(copy)),
    };
    let file = pb::FileOp { actions: vec![action] };
    let mut def: Vec<bytes::Bytes> = Vec::new();
    for op in [Some(pb::op::Op::Source(source)), Some(pb::op::Op::File(file)), None] {
        let inputs = def.last().map(|previous| pb::Input { digest: digest(previous), index: 0 });
        let op = pb::Op { inputs: inputs.into_iter().collect(), op, ..Default::default() };
        def.push(op.encode_to_vec().into());
    }
    let exporter = Exporter { r#type: "local".into(), attrs: BTreeMap::new() };
    let request = SolveRequest {
        r#ref: SessionOptions::new("", "").id,
        definition: Some(pb::Definition { def, ..Default::default() }),
        session: to.unwrap_or(from).id().to_owned(),
        exporters: to.map(|_| exporter).into_iter().collect(),
        internal: true,
        ..Default::default()
    };
    ControlClient::new(channel(socket).await).solve(request).await.map(drop)
}

fn digest(bytes: &[u8]) -> String {
    let hex = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    format!("sha256:{hex}")
}

fn shared(name: &str, root: LocalRoot) -> (Services, Locals) {
    let locals = Locals::default();
    locals.share(name, root);
    (Services::default().with_locals(locals.clone()), locals)
}

/// A folder in memory where there is one: what is measured is us, not the disk.
fn folder() -> TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).expect("a folder")
}

/// Everything below `root` that must survive: kind, mode, time, content.
fn snapshot(root: &Path) -> BTreeMap<String, (u32, i64, Vec<u8>)> {
    let mut found = BTreeMap::new();
    let mut open = vec![root.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).expect("a directory") {
            let path = entry.expect("an entry").path();
            let meta = fs::symlink_metadata(&path).expect("there");
            let content = if meta.is_dir() {
                open.push(path.clone());
                Vec::new()
            } else if meta.is_symlink() {
                fs::read_link(&path).expect("a link").into_os_string().into_encoded_bytes()
            } else {
                fs::read(&path).expect("read")
            };
            let name = path.strip_prefix(root).expect("below").to_str().expect("a name").to_owned();
            found.insert(name, (meta.mode(), meta.mtime(), content));
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tree_comes_back_as_it_went() {
    let Some(socket) = socket() else { return };
    let source = folder();
    let at = |path: &str| source.path().join(path);
    fs::create_dir_all(at("dir/empty")).expect("made");
    fs::create_dir_all(at("wörter")).expect("made");
    // New content each time: equal content is a cache hit, which brings the times of an earlier run.
    fs::write(at("dir/run.sh"), SessionOptions::new("", "").id).expect("written");
    fs::set_permissions(at("dir/run.sh"), Permissions::from_mode(0o751)).expect("set");
    fs::write(at("wörter/größe"), vec![7; 3_000_000]).expect("written");
    fs::write(at("wörter/übrig"), "excluded").expect("written");
    symlink("../dir/run.sh", at("wörter/link")).expect("linked");
    // A new name: what was uploaded earlier keeps the times of its directories.
    let name = SessionOptions::new("", "").id;
    let (services, locals) = shared(&name, LocalRoot::new(source.path()));
    let from = open(&socket, "round-trip", services).await;
    let dest = folder();
    let receivers = Receivers::directory(dest.path().join("out"));
    let to = open(&socket, "", Services::default().with_receivers(receivers.clone())).await;
    let exclude = [("local.excludepatterns", r#"["wörter/ü*"]"#)];
    run(&socket, &from, &name, &exclude, Some(&to)).await.expect("solved");
    let mut expected = snapshot(source.path());
    expected.remove("wörter/übrig").expect("there");
    let summary = |tree: &BTreeMap<String, (u32, i64, Vec<u8>)>| -> Vec<_> {
        tree.iter()
            .map(|(path, (mode, time, content))| format!("{path} {mode:o} {time} {}", content.len()))
            .collect()
    };
    let exported = snapshot(&dest.path().join("out"));
    assert_eq!(summary(&exported), summary(&expected));
    assert!(exported == expected);
    assert_eq!(receivers.received(0).expect("complete").bytes, 3_000_032);
    assert_eq!(locals.totals().bytes, 3_000_032);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_later_session_sends_the_difference_only() {
    let Some(socket) = socket() else { return };
    let source = folder();
    for at in 0..50 {
        fs::write(source.path().join(format!("f{at}")), vec![at; 10_000]).expect("written");
    }
    let name = SessionOptions::new("", "").id;
    for (change, expected) in [(None, 500_000), (None, 0), (Some("f7"), 10_000)] {
        if let Some(file) = change {
            // The same size, and the same time as before by a tool that sets it.
            let path = source.path().join(file);
            let time = fs::metadata(&path).and_then(|meta| meta.modified()).expect("a time");
            fs::write(&path, vec![99; 10_000]).expect("written");
            fs::File::options()
                .write(true)
                .open(&path)
                .and_then(|file| file.set_modified(time))
                .expect("set");
        }
        let (services, locals) = shared(&name, LocalRoot::new(source.path()));
        let session = open(&socket, "incremental", services).await;
        run(&socket, &session, &name, &[], None).await.expect("solved");
        session.close().await;
        assert_eq!(locals.totals().bytes, expected, "{change:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_name_what_was_wrong() {
    let Some(socket) = socket() else { return };
    let source = folder();
    let (services, locals) = shared("a", LocalRoot::new(source.path()));
    let session = open(&socket, "errors", services).await;
    let status = run(&socket, &session, "b", &[], None).await.expect_err("not shared");
    assert!(status.message().contains("local \"b\" is not shared with this session"), "{status}");
    locals.share("gone", LocalRoot::new(source.path().join("gone")));
    let status = run(&socket, &session, "gone", &[], None).await.expect_err("missing");
    assert!(status.message().contains("gone: no such file or directory"), "{status}");
    fs::write(source.path().join("file"), "x").expect("written");
    let blocked = source.path().join("file/out");
    let to = open(&socket, "", Services::default().with_receivers(Receivers::directory(&blocked))).await;
    let status = run(&socket, &session, "a", &[], Some(&to)).await.expect_err("no directory");
    assert!(status.message().contains(blocked.to_str().expect("a name")), "{status}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_connection_heals() {
    let Some(socket) = socket() else { return };
    let source = folder();
    fs::write(source.path().join("file"), "x").expect("written");
    let (services, locals) = shared("healed", LocalRoot::new(source.path()));
    let cut = Arc::new(Mutex::new(CancellationToken::new()));
    let options = SessionOptions::new("session test", "heal");
    let session =
        Session::start(connector(socket.clone(), cut.clone()), options, services).await.expect("opened");
    for heal in 1..=2 {
        let before = std::mem::take(&mut *cut.lock());
        before.cancel();
        let mut state = session.state();
        state.wait_for(|state| matches!(state, State::Healing)).await.expect("watched");
        state.wait_for(|state| !matches!(state, State::Healing)).await.expect("watched");
        assert!(matches!(*session.state().borrow(), State::Open), "{:?}", session.state());
        let nonce = format!(r#"["nonce-{heal}"]"#);
        run(&socket, &session, "healed", &[("local.excludepatterns", &nonce)], None).await.expect("solved");
        assert_eq!(session.heals(), heal);
    }
    assert!(locals.totals().files >= 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_files() {
    let Some(socket) = socket() else { return };
    let source = folder();
    for outer in 0..100 {
        let sub = source.path().join(format!("d{outer}"));
        fs::create_dir(&sub).expect("made");
        for inner in 0..100 {
            fs::write(sub.join(format!("f{inner}")), format!("{outer} {inner}")).expect("written");
        }
    }
    let name = SessionOptions::new("", "").id;
    let (services, locals) = shared(&name, LocalRoot::new(source.path()));
    let session = open(&socket, "many", services).await;
    run(&socket, &session, &name, &[], None).await.expect("solved");
    assert_eq!(locals.totals().files, 10_000);
}

/// An archive that holds one file.
fn archive(name: &str, content: &[u8]) -> Vec<u8> {
    let mut header = [0_u8; 512];
    let mut put = |at: usize, text: &str| header[at..at + text.len()].copy_from_slice(text.as_bytes());
    put(0, name);
    put(100, "0000644");
    put(108, "0000000");
    put(116, "0000000");
    put(124, &format!("{:011o}", content.len()));
    put(136, "00000000000");
    put(148, "        ");
    put(156, "0");
    put(257, "ustar");
    put(263, "00");
    let sum: u32 = header.iter().map(|&byte| u32::from(byte)).sum();
    header[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    let mut archive = header.to_vec();
    archive.extend_from_slice(content);
    archive.resize(archive.len().next_multiple_of(512) + 1024, 0);
    archive
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_in_memory_is_a_source() {
    let Some(socket) = socket() else { return };
    let content = SessionOptions::new("", "").id.repeat(100_000);
    let stores = ContentStores::default();
    let layer = archive("file", content.as_bytes());
    let size = layer.len();
    let layer = stores.add("oci:blobs", layer);
    let config = format!(
        r#"{{"architecture":"amd64","os":"linux","config":{{}},"rootfs":{{"type":"layers","diff_ids":["{layer}"]}}}}"#
    );
    let (config_size, config) = (config.len(), stores.add("oci:blobs", config));
    let kind = "application/vnd.oci.image";
    let manifest = format!(
        r#"{{"schemaVersion":2,"mediaType":"{kind}.manifest.v1+json",
        "config":{{"mediaType":"{kind}.config.v1+json","digest":"{config}","size":{config_size}}},
        "layers":[{{"mediaType":"{kind}.layer.v1.tar","digest":"{layer}","size":{size}}}]}}"#
    );
    let manifest = stores.add("oci:blobs", manifest);
    let from = open(&socket, "images", Services::default().with_stores(stores)).await;
    let dest = folder();
    let to = open(&socket, "", Services::default().with_receivers(Receivers::directory(dest.path()))).await;
    let attrs = [("oci.session", from.id()), ("oci.store", "blobs")];
    copy(&socket, &format!("oci-layout://blobs/image@{manifest}"), &attrs, &from, Some(&to))
        .await
        .expect("solved");
    assert!(fs::read(dest.path().join("file")).expect("read") == content.as_bytes());
}
