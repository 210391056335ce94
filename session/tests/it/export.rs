//! Results on their way back.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;
use treenail_protos::fsutil::types::Stat;
use treenail_protos::moby::filesync::v1::BytesMessage;
use treenail_session::{Received, Receivers, Services};

use crate::peer::{self, Entry, soon};

const DIR: u32 = 1 << 31;
const LINK: u32 = 1 << 27;
const DEVICE: u32 = 1 << 26;
const TIME: i64 = 1_000_000_000_123_456_789;

fn entry(path: &str, mode: u32) -> Stat {
    Stat { path: path.to_owned(), mode, mod_time: TIME, uid: 12_345, gid: 12_345, ..Stat::default() }
}

fn dir(path: &str, mode: u32) -> Entry {
    (entry(path, DIR | mode), Vec::new())
}

fn file(path: &str, mode: u32, content: &str) -> Entry {
    (Stat { size: content.len() as i64, ..entry(path, mode) }, content.into())
}

fn link(path: &str, target: &str) -> Entry {
    (Stat { linkname: target.to_owned(), ..entry(path, LINK | 0o777) }, Vec::new())
}

async fn export(receivers: Receivers, entries: Vec<Entry>) -> Result<Received, Status> {
    let (_session, taken) = peer::open(Services::default().with_receivers(receivers.clone())).await;
    soon(peer::export(&taken.channel, "0", entries)).await?;
    Ok(receivers.received(0).expect("complete"))
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).expect("there").mode() & 0o7777
}

fn names(path: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(path)
        .expect("a directory")
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("a name"))
        .collect();
    names.sort();
    names
}

#[tokio::test]
async fn writes_a_tree_with_modes_times_and_links() {
    let folder = tempfile::tempdir().expect("a folder");
    let dest = folder.path().join("new/deep");
    let hard = (Stat { linkname: "d/f".into(), ..entry("d/hard", 0o640) }, Vec::new());
    let received = export(
        Receivers::directory(&dest),
        vec![
            dir("d", 0o500),
            file("d/f", 0o640, "content"),
            hard,
            dir("empty", 0o755),
            link("l", "/etc/passwd"),
            (entry("null", DEVICE | 0o666), Vec::new()),
            file("z", 0o755, ""),
        ],
    )
    .await
    .expect("received");
    assert_eq!(received, Received { entries: 6, bytes: 7, skipped: 1 });
    assert_eq!(mode(&dest), 0o700);
    assert_eq!(mode(&folder.path().join("new")), 0o700);
    assert_eq!(names(&dest), ["d", "empty", "l", "z"]);
    assert_eq!(fs::read(dest.join("d/hard")).expect("read"), b"content");
    let (one, other) =
        (fs::metadata(dest.join("d/f")).expect("there"), fs::metadata(dest.join("d/hard")).expect("there"));
    assert_eq!(one.ino(), other.ino());
    assert_eq!((one.mtime(), one.mtime_nsec()), (1_000_000_000, 123_456_789));
    assert_eq!(fs::metadata(dest.join("d")).expect("there").mtime(), 1_000_000_000);
    assert_eq!(
        (mode(&dest.join("d")), mode(&dest.join("d/f")), mode(&dest.join("z"))),
        (0o500, 0o640, 0o755)
    );
    assert_eq!(fs::read_link(dest.join("l")).expect("a link"), Path::new("/etc/passwd"));
    assert_eq!(one.uid(), fs::metadata(folder.path()).expect("there").uid());
    // Once more over the same, which a closed directory must not hinder.
    export(Receivers::directory(&dest), vec![dir("d", 0o500), file("d/f", 0o600, "new")])
        .await
        .expect("received");
    assert_eq!(fs::read(dest.join("d/f")).expect("read"), b"new");
    assert_eq!(fs::read(dest.join("d/hard")).expect("read"), b"content");
    fs::set_permissions(dest.join("d"), Permissions::from_mode(0o700)).expect("set");
}

#[tokio::test]
async fn merges_or_wipes() {
    for wipe in [false, true] {
        let folder = tempfile::tempdir().expect("a folder");
        let dest = folder.path();
        fs::create_dir_all(dest.join("old/deep")).expect("made");
        fs::create_dir_all(dest.join("d/file-was-a-directory/x")).expect("made");
        fs::write(dest.join("d/extra"), "x").expect("written");
        fs::write(dest.join("e"), "a file where a directory comes").expect("written");
        let receivers = if wipe { Receivers::wiped_directory(dest) } else { Receivers::directory(dest) };
        let entries = vec![
            dir("d", 0o755),
            file("d/file-was-a-directory", 0o644, "x"),
            dir("e", 0o755),
            file("e/f", 0o644, "y"),
        ];
        export(receivers, entries).await.expect("received");
        assert_eq!(fs::read(dest.join("e/f")).expect("read"), b"y");
        assert_eq!(fs::read(dest.join("d/file-was-a-directory")).expect("read"), b"x");
        let (top, below) = if wipe {
            (&["d", "e"][..], &["file-was-a-directory"][..])
        } else {
            (&["d", "e", "old"][..], &["extra", "file-was-a-directory"][..])
        };
        assert_eq!(names(dest), top);
        assert_eq!(names(&dest.join("d")), below);
    }
}

#[tokio::test]
async fn hostile_paths_stay_inside() {
    for entries in [
        vec![file("../x", 0o644, "evil")],
        vec![file("/tmp/x", 0o644, "evil")],
        vec![dir("a", 0o755), file("a/../../x", 0o644, "evil")],
        vec![link("a", "../outside"), file("a/x", 0o644, "evil")],
        vec![link("a", "../outside"), dir("a", 0o755), file("a/x", 0o644, "evil")],
        vec![
            dir("a", 0o755),
            (Stat { linkname: "../outside/secret".into(), ..entry("a/x", 0o644) }, Vec::new()),
        ],
        vec![(Stat { linkname: "/etc/passwd".into(), ..entry("x", 0o644) }, Vec::new())],
        vec![file("", 0o644, "evil")],
        vec![file("a\0b", 0o644, "evil")],
    ] {
        let folder = tempfile::tempdir().expect("a folder");
        let outside = folder.path().join("outside");
        fs::create_dir(&outside).expect("made");
        fs::write(outside.join("secret"), "s").expect("written");
        let dest = folder.path().join("dest");
        let shown = format!("{:?}", entries.last().map(|(stat, _)| &stat.path));
        export(Receivers::directory(&dest), entries).await.expect_err(&shown);
        assert_eq!(names(folder.path()), ["dest", "outside"], "{shown}");
        assert_eq!(names(&outside), ["secret"], "{shown}");
    }
}

#[tokio::test]
async fn links_that_lie_in_the_destination_are_replaced_not_followed() {
    let folder = tempfile::tempdir().expect("a folder");
    let (outside, dest) = (folder.path().join("outside"), folder.path().join("dest"));
    fs::create_dir(&outside).expect("made");
    fs::create_dir(&dest).expect("made");
    fs::write(outside.join("f"), "untouched").expect("written");
    symlink("../outside", dest.join("d")).expect("linked");
    symlink("../outside/f", dest.join("f")).expect("linked");
    let entries = vec![dir("d", 0o755), file("d/f", 0o644, "new"), file("f", 0o644, "new")];
    export(Receivers::wiped_directory(&dest), entries).await.expect("received");
    assert_eq!(fs::read(outside.join("f")).expect("read"), b"untouched");
    assert_eq!(fs::read(dest.join("d/f")).expect("read"), b"new");
    assert!(fs::symlink_metadata(dest.join("d")).expect("there").is_dir());
    // A link as the destination itself is the user's choice.
    let through = folder.path().join("through");
    symlink("outside", &through).expect("linked");
    export(Receivers::directory(&through), vec![file("g", 0o644, "x")]).await.expect("received");
    assert_eq!(names(&outside), ["f", "g"]);
}

#[tokio::test]
async fn one_file_out_of_a_directory() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("bin/tool");
    export(Receivers::single_file(&path), vec![file("built", 0o755, "one")]).await.expect("received");
    assert_eq!((fs::read(&path).expect("read"), mode(&path)), (b"one".to_vec(), 0o755));
    fs::set_permissions(&path, Permissions::from_mode(0o600)).expect("set");
    export(Receivers::single_file(&path), vec![file("built", 0o755, "two")]).await.expect("received");
    assert_eq!((fs::read(&path).expect("read"), mode(&path)), (b"two".to_vec(), 0o600));
    let two = vec![file("a", 0o644, "x"), file("b", 0o644, "y")];
    export(Receivers::single_file(&path), two).await.expect_err("two files");
    export(Receivers::single_file(&path), vec![dir("a", 0o755)]).await.expect_err("a directory");
    let status = export(Receivers::single_file(folder.path().join("bin")), vec![file("a", 0o644, "x")]).await;
    assert!(status.expect_err("a directory is there").message().ends_with("is a directory"));
    assert_eq!(
        (names(&folder.path().join("bin")), fs::read(&path).expect("read")),
        (vec!["tool".into()], b"two".to_vec())
    );
}

#[tokio::test]
async fn many_files_at_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let entries = (0..3000).map(|at| file(&format!("f{at:04}"), 0o644, &format!("content {at}"))).collect();
    let received = export(Receivers::directory(folder.path()), entries).await.expect("received");
    assert_eq!(received.entries, 3000);
    assert_eq!(fs::read(folder.path().join("f2999")).expect("read"), b"content 2999");
    assert_eq!(names(folder.path()).len(), 3000);
}

async fn stream(receivers: Receivers, exporter: &str, chunks: Vec<&'static [u8]>) -> Result<(), Status> {
    let (_session, taken) = peer::open(Services::default().with_receivers(receivers)).await;
    let (messages, outbound) = mpsc::channel(4);
    let mut answers =
        peer::file_send::<BytesMessage>(&taken.channel, exporter, ReceiverStream::new(outbound)).await?;
    for chunk in chunks {
        messages.send(BytesMessage { data: Bytes::from_static(chunk) }).await.expect("open");
    }
    drop(messages);
    soon(answers.message()).await.map(|answer| assert!(answer.is_none()))
}

#[tokio::test]
async fn a_stream_becomes_a_file_once_complete() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("new/image.tar");
    let receivers = Receivers::file(&path);
    stream(receivers.clone(), "0", vec![b"one ", b"", b"two"]).await.expect("received");
    assert_eq!((fs::read(&path).expect("read"), mode(&path)), (b"one two".to_vec(), 0o600));
    assert_eq!(receivers.received(0), Some(Received { entries: 1, bytes: 7, skipped: 0 }));
    assert_eq!(names(path.parent().expect("a parent")), ["image.tar"]);
    stream(Receivers::file(&path), "1", vec![b"x"]).await.expect_err("no such exporter");
    stream(Receivers::file(folder.path()), "0", vec![b"x"]).await.expect_err("a directory");
}

#[tokio::test]
async fn a_broken_transfer_leaves_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("image.tar");
    let (_session, taken) = peer::open(Services::default().with_receivers(Receivers::file(&path))).await;
    let (messages, outbound) = mpsc::channel(4);
    let _answers = peer::file_send::<BytesMessage>(&taken.channel, "0", ReceiverStream::new(outbound))
        .await
        .expect("begun");
    messages.send(BytesMessage { data: Bytes::from_static(b"half") }).await.expect("open");
    let until = async |begun: bool| {
        while names(folder.path()).is_empty() == begun {
            tokio::task::yield_now().await;
        }
    };
    soon(until(true)).await;
    assert!(!path.exists());
    taken.cut.cancel();
    soon(until(false)).await;
}
