//! Host directories on their way to the daemon.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Request;
use treenail_protos::fsutil::types::packet::PacketType;
use treenail_protos::moby::filesync::v1::file_sync_client::FileSyncClient;
use treenail_session::{LocalRoot, Locals, Services, Session};

use crate::peer::{self, Ask, Taken, packet_of, soon, sync};

/// Writes a tree: a trailing slash makes a directory, anything else a file that holds its own name.
fn tree(paths: &[&str]) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for path in paths {
        let full = folder.path().join(path);
        if path.ends_with('/') {
            fs::create_dir_all(full).expect("made");
        } else {
            fs::create_dir_all(full.parent().expect("a parent")).expect("made");
            fs::write(full, path).expect("written");
        }
    }
    folder
}

async fn share(root: LocalRoot) -> (Session, Taken, Locals) {
    let locals = Locals::default();
    locals.share("src", root);
    let (session, taken) = peer::open(Services::default().with_locals(locals.clone())).await;
    (session, taken, locals)
}

async fn paths(folder: &Path, gitignore: bool, include: &[&str], exclude: &[&str]) -> Vec<String> {
    let (_session, taken, _) = share(LocalRoot::new(folder).with_gitignore(gitignore)).await;
    let ask = Ask { include, exclude, ..Ask::default() };
    let sent = soon(sync(&taken.channel, "src", ask)).await.expect("sent");
    sent.entries.iter().map(|stat| stat.path.clone()).collect()
}

#[tokio::test]
async fn sends_a_tree_in_path_order() {
    let folder = tree(&["b/x", "b-a", "a/empty/", "a.txt", "b.txt", "a/b/c", "é", "a-/z"]);
    symlink("../outside", folder.path().join("link")).expect("linked");
    fs::hard_link(folder.path().join("a.txt"), folder.path().join("hard")).expect("linked");
    fs::set_permissions(folder.path().join("b.txt"), Permissions::from_mode(0o4751)).expect("set");
    let _socket = std::os::unix::net::UnixListener::bind(folder.path().join("socket")).expect("bound");
    let (_session, taken, locals) = share(LocalRoot::new(folder.path())).await;
    let sent = soon(sync(&taken.channel, "src", Ask::default())).await.expect("sent");
    assert_eq!(
        sent.paths(),
        [
            "a", "a/b", "a/b/c", "a/empty", "a-", "a-/z", "a.txt", "b", "b/x", "b-a", "b.txt", "hard",
            "link", "é"
        ]
    );
    assert_eq!(sent.contents["a/b/c"], b"a/b/c");
    assert_eq!(sent.contents["hard"], b"a.txt");
    assert_eq!(sent.entry("link").linkname, "../outside");
    assert_eq!(sent.entry("link").mode & peer::REGULAR, 1 << 27);
    assert_eq!(sent.entry("a/empty").mode & peer::REGULAR, 1 << 31);
    assert_eq!(sent.entry("b.txt").mode, (1 << 23) | 0o751);
    assert!(sent.entries.iter().all(|stat| stat.uid == 0 && stat.gid == 0 && stat.xattrs.is_empty()));
    assert!(sent.entry("hard").linkname.is_empty());
    assert_eq!(locals.totals().bytes as usize, sent.bytes());
}

#[tokio::test]
async fn sends_again_only_what_changed() {
    let folder = tree(&["one", "two", "three/four"]);
    let (_session, taken, locals) = share(LocalRoot::new(folder.path())).await;
    let first = soon(sync(&taken.channel, "src", Ask::default())).await.expect("sent");
    assert_eq!(first.contents.len(), 3);
    let again = Ask { known: first.known(), ..Ask::default() };
    let second = soon(sync(&taken.channel, "src", again)).await.expect("sent");
    assert!(second.contents.is_empty());
    // The same length and the same modification time, by a tool that sets it.
    let path = folder.path().join("two");
    let time = fs::metadata(&path).and_then(|meta| meta.modified()).expect("a time");
    fs::write(&path, "owt").expect("written");
    let file = fs::File::options().write(true).open(&path).expect("open");
    file.set_modified(time).expect("set");
    let before = locals.totals();
    let again = Ask { known: first.known(), ..Ask::default() };
    let third = soon(sync(&taken.channel, "src", again)).await.expect("sent");
    assert_eq!(third.contents.keys().collect::<Vec<_>>(), ["two"]);
    assert_eq!(third.contents["two"], b"owt");
    assert_eq!(locals.totals().bytes - before.bytes, 3);
}

#[tokio::test]
async fn filters_as_the_table_says() {
    let folder = tree(&["a.txt", "b.txt", "c.txt.rar", "sub/d.txt", "sub/e.txt", "sub/f.txt.rar"]);
    let all_of_sub = ["sub", "sub/d.txt", "sub/e.txt", "sub/f.txt.rar"];
    let with_sub = |top: &[&'static str]| [top, &all_of_sub].concat();
    for (include, exclude, expected) in [
        (&[][..], &["*.rar"][..], with_sub(&["a.txt", "b.txt"])),
        (&["*.rar"], &[], vec!["c.txt.rar"]),
        (&["*.txt"], &["b.txt"], vec!["a.txt"]),
        (&["a.txt"], &["*.txt"], vec![]),
        (&[], &["sub"], vec!["a.txt", "b.txt", "c.txt.rar"]),
        (&["**/*.rar"], &[], vec!["c.txt.rar", "sub", "sub/f.txt.rar"]),
        (&[], &["*", "!a.txt"], vec!["a.txt"]),
        (&["sub"], &[], all_of_sub.to_vec()),
        (&[], &["sub", "!sub/d.txt"], vec!["a.txt", "b.txt", "c.txt.rar", "sub", "sub/d.txt"]),
        (&[], &["**", "!**/e.*"], vec!["sub", "sub/e.txt"]),
        (&["sub/*"], &["sub/e*"], vec!["sub", "sub/d.txt", "sub/f.txt.rar"]),
    ] {
        assert_eq!(paths(folder.path(), false, include, exclude).await, expected, "{include:?} {exclude:?}");
    }
    let sub = folder.path().join("sub");
    assert_eq!(paths(&sub, false, &[], &["*.rar"]).await, ["d.txt", "e.txt"]);
}

#[tokio::test]
async fn directories_that_nothing_is_kept_of_are_not_opened() {
    let folder = tree(&["keep/x", "closed/y", ".git/"]);
    // Whoever opens the directory fails on this file.
    fs::write(folder.path().join("closed/.gitignore"), vec![b'#'; (1 << 20) + 1]).expect("written");
    let kept = ["keep", "keep/x"];
    assert_eq!(paths(folder.path(), true, &[], &["closed", ".git"]).await, kept);
    assert_eq!(paths(folder.path(), true, &["keep/**"], &[]).await, kept);
    assert_eq!(paths(folder.path(), true, &[], &["closed", ".git", "!keep"]).await, kept);
    let (_session, taken, _) = share(LocalRoot::new(folder.path()).with_gitignore(true)).await;
    let ask = Ask { exclude: &["closed", "!closed/y"], ..Ask::default() };
    let status =
        soon(sync(&taken.channel, "src", ask)).await.expect_err("opened for what a negation brings back");
    assert!(status.message().contains("closed/.gitignore: larger than"), "{status}");
}

#[tokio::test]
async fn gitignore_applies_as_in_git() {
    let folder =
        tree(&["x.log", "keep.log", "y.txt", "out/o", "sub/x.log", "sub/keep.log", "sub/y.txt", "sub/out/o"]);
    fs::write(folder.path().join(".gitignore"), "*.log\n!keep.log\n/out\n").expect("written");
    fs::write(folder.path().join("sub/.gitignore"), "*.txt\n").expect("written");
    let all = paths(folder.path(), true, &[], &[]).await;
    assert!(all.contains(&"x.log".to_owned()), "without .git nothing is ignored");
    fs::create_dir(folder.path().join(".git")).expect("made");
    let kept = [
        ".git",
        ".gitignore",
        "keep.log",
        "sub",
        "sub/.gitignore",
        "sub/keep.log",
        "sub/out",
        "sub/out/o",
        "y.txt",
    ];
    assert_eq!(paths(folder.path(), true, &[], &[]).await, kept);
    let sub = folder.path().join("sub");
    assert_eq!(paths(&sub, true, &[], &[]).await, [".gitignore", "keep.log", "out", "out/o"]);
    let out = folder.path().join("out");
    assert!(paths(&out, true, &[], &[]).await.is_empty(), "nothing is taken back below an ignored directory");
    assert_eq!(
        paths(folder.path(), true, &["sub"], &["sub/out"]).await,
        ["sub", "sub/.gitignore", "sub/keep.log"]
    );
}

#[tokio::test]
async fn names_what_cannot_be_read() {
    let folder = tree(&["a"]);
    let (_session, taken, locals) = share(LocalRoot::new(folder.path())).await;
    let status = soon(sync(&taken.channel, "other", Ask::default())).await.expect_err("not shared");
    assert_eq!(status.message(), "local \"other\" is not shared with this session");
    let status = soon(sync(&taken.channel, "src", Ask { include: &["["], ..Ask::default() })).await;
    assert!(status.expect_err("refused").message().contains("syntax error in pattern"));
    use std::os::unix::ffi::OsStrExt;
    fs::write(folder.path().join(std::ffi::OsStr::from_bytes(b"bad\xff")), "x").expect("written");
    let status = soon(sync(&taken.channel, "src", Ask::default())).await.expect_err("refused");
    assert!(status.message().contains("not valid UTF-8"), "{status}");
    locals.unshare("src");
    soon(sync(&taken.channel, "src", Ask::default())).await.expect_err("no longer shared");
}

#[tokio::test]
async fn a_file_that_shrinks_or_vanishes_fails_the_transfer() {
    for vanish in [false, true] {
        let folder = tree(&["file"]);
        let path = folder.path().join("file");
        let (_session, taken, _) = share(LocalRoot::new(folder.path())).await;
        let (requests, outbound) = mpsc::channel(4);
        let mut request = Request::new(ReceiverStream::new(outbound));
        request.metadata_mut().insert("dir-name", "src".parse().expect("a header"));
        let mut client = FileSyncClient::new(taken.channel.clone());
        let mut inbound = client.diff_copy(request).await.expect("begun").into_inner();
        let listed = inbound.message().await.expect("sent").expect("an entry");
        assert_eq!(listed.stat.expect("an entry").size, 4);
        if vanish {
            fs::remove_file(&path).expect("removed");
        } else {
            fs::write(&path, "x").expect("written");
        }
        requests.send(packet_of(PacketType::PacketReq, 0, "")).await.expect("open");
        let mut last = None;
        let end = loop {
            match soon(inbound.message()).await {
                Ok(Some(packet)) => last = Some(packet),
                Ok(None) => panic!("a clean end"),
                Err(status) => break status,
            }
        };
        let last = last.expect("a packet");
        assert_eq!(last.r#type, PacketType::PacketErr as i32);
        assert!(end.message().contains("file") && end.message().contains("while it was being read"), "{end}");
    }
}

#[tokio::test]
async fn a_receiver_that_hangs_up_or_misbehaves_ends_the_transfer() {
    let folder = tree(&["file"]);
    let (_session, taken, _) = share(LocalRoot::new(folder.path())).await;
    for packets in [
        vec![],
        vec![packet_of(PacketType::PacketReq, 7, "")],
        vec![packet_of(PacketType::PacketReq, 0, ""), packet_of(PacketType::PacketReq, 0, "")],
        vec![packet_of(PacketType::PacketData, 0, "x")],
        vec![packet_of(PacketType::PacketErr, 0, "disk full")],
    ] {
        let mut request = Request::new(tokio_stream::iter(packets));
        request.metadata_mut().insert("dir-name", "src".parse().expect("a header"));
        let mut client = FileSyncClient::new(taken.channel.clone());
        let mut inbound = client.diff_copy(request).await.expect("begun").into_inner();
        while let Ok(packet) = soon(inbound.message()).await {
            assert!(packet.is_some(), "a clean end");
        }
    }
    soon(sync(&taken.channel, "src", Ask::default())).await.expect("the session lives");
}

#[tokio::test]
async fn ten_thousand_files_and_a_big_one() {
    // In memory where that is possible: what is tested is not the disk.
    let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).expect("a folder");
    for outer in 0..100 {
        let sub = folder.path().join(format!("d{outer:02}"));
        fs::create_dir(&sub).expect("made");
        for inner in 0..100 {
            fs::write(sub.join(format!("f{inner:02}")), format!("{outer} {inner}")).expect("written");
        }
    }
    let big: Vec<u8> = (0..20_000_000_u32).map(|at| (at % 253) as u8).collect();
    fs::write(folder.path().join("big"), &big).expect("written");
    let (_session, taken, _) = share(LocalRoot::new(folder.path())).await;
    let sent = soon(sync(&taken.channel, "src", Ask::default())).await.expect("sent");
    assert_eq!(sent.entries.len(), 10_101);
    assert_eq!(sent.contents["d42/f17"], b"42 17");
    assert!(sent.contents["big"] == big);
}

#[tokio::test]
async fn overlapping_transfers_do_not_disturb_each_other() {
    let folder = tree(&["a/b", "c"]);
    let (_session, taken, _) = share(LocalRoot::new(folder.path())).await;
    let all = (0..50).map(|_| sync(&taken.channel, "src", Ask::default()));
    for sent in soon(futures::future::join_all(all)).await {
        assert_eq!(sent.expect("sent").paths(), ["a", "a/b", "c"]);
    }
}
