//! This machine's files: what is uploaded, when, and what exports write.
//!
//! # Source
//! `contract/examples.md` 5, 7 and 9, `contract/filesystem.md` 4, `contract/core.md` 7.

mod daemon {
    use std::fs;
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
    use std::path::Path;
    use std::time::{Duration, SystemTime};

    use serde_json::{Value, json};
    use treenail_test_fixtures::TestDaemon;

    use crate::notation::{Values, error, text, value};
    use crate::service::{Service, nonce};

    fn none() -> Values {
        Values::default()
    }

    fn write(folder: &Path, path: &str, content: &str) {
        let path = folder.join(path);
        fs::create_dir_all(path.parent().expect("a parent")).expect("made");
        fs::write(path, content).expect("written");
    }

    fn mode(path: &Path) -> u32 {
        fs::symlink_metadata(path).expect("is there").permissions().mode() & 0o7777
    }

    fn set_modified(path: &Path, seconds: u64) {
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        fs::File::options().read(true).open(path).expect("opens").set_modified(time).expect("is set");
    }

    fn with_service(test: impl FnOnce(&'static TestDaemon, &Path, &Service)) {
        let Some(daemon) = treenail_test_fixtures::daemon() else { return };
        let workdir = tempfile::tempdir().expect("a working directory");
        let service = Service::start(daemon, workdir.path());
        test(daemon, workdir.path(), &service);
    }

    /// Arguments, and what stays of the tree of the contract's section 7, all levels.
    const PATTERNS: &[(&str, &[&str])] = &[
        (r#"exclude: ["*.rar"]"#, &["a.txt", "b.txt", "sub/", "sub/d.txt", "sub/e.txt", "sub/f.txt.rar"]),
        (r#"include: ["*.rar"]"#, &["c.txt.rar"]),
        (r#"exclude: ["b.txt"], include: ["*.txt"]"#, &["a.txt"]),
        (r#"exclude: ["*.txt"], include: ["a.txt"]"#, &[]),
        (r#"exclude: ["sub"]"#, &["a.txt", "b.txt", "c.txt.rar"]),
        (r#"include: ["**/*.rar"]"#, &["c.txt.rar", "sub/", "sub/f.txt.rar"]),
        (r#"exclude: ["*", "!a.txt"]"#, &["a.txt"]),
        (r#"include: ["sub"]"#, &["sub/", "sub/d.txt", "sub/e.txt", "sub/f.txt.rar"]),
        (r#"include: ["sub"], exclude: ["sub/*.txt"]"#, &["sub/", "sub/f.txt.rar"]),
        (r#"exclude: ["sub", "!sub/e.txt"]"#, &["a.txt", "b.txt", "c.txt.rar", "sub/", "sub/e.txt"]),
        (r#"include: ["nothing"]"#, &[]),
    ];

    #[test]
    fn patterns_mean_the_same_everywhere() {
        with_service(|_, workdir, service| {
            let mut made = "D".to_owned();
            for name in ["a.txt", "b.txt", "c.txt.rar", "sub/d.txt", "sub/e.txt", "sub/f.txt.rar"] {
                write(workdir, &format!("t/{name}"), name);
                made.push_str(&format!(r#".withNewFile(path: "{name}", contents: "{name}")"#));
            }
            let values = none().with("made", "Directory", text(service, &format!("{made}.id"), &none()));
            let mut problems = Vec::new();
            for (arguments, expected) in PATTERNS {
                for chain in [
                    format!("{made}.filter({arguments})"),
                    format!(r#"D.withDirectory(path: "/", source: $made, {arguments})"#),
                    format!(
                        r#"D.withNewFile(path: "p/x", contents: "").directory(path: "p").withoutFile(path: "x").withDirectory(path: ".", source: $made, {arguments})"#
                    ),
                    format!(
                        r#"C.withDirectory(path: "/x", source: $made, {arguments}).directory(path: "/x")"#
                    ),
                    format!(r#"host.directory(path: "t", {arguments})"#),
                ] {
                    let answer = value(service, &format!(r#"{chain}.glob(pattern: "**/*")"#), &values);
                    if answer != json!(expected) {
                        problems
                            .push(format!("{chain}\n  expected {}\n  answered {answer}", json!(expected)));
                    }
                }
            }
            assert!(problems.is_empty(), "{}", problems.join("\n"));
            // Absolute patterns, and those that leave, count for nothing at the source.
            let answer = value(
                service,
                r#"host.directory(path: "t", exclude: ["/a.txt", "../t/b.txt", "sub"]).entries"#,
                &none(),
            );
            assert_eq!(answer, json!(["a.txt", "b.txt", "c.txt.rar"]));
            let answer = value(service, r#"host.directory(path: "t", exclude: ["."]).entries"#, &none());
            assert_eq!(answer, json!([]), "a dot is everything");
        });
    }

    #[test]
    fn ignore_files_of_git_count_from_the_repository_s_root() {
        with_service(|_, workdir, service| {
            for root in ["repo", "plain"] {
                for (path, content) in [
                    (".gitignore", "*.log\n!keep.log\n/out\n"),
                    ("sub/.gitignore", "*.txt\n"),
                    ("x.log", ""),
                    ("keep.log", ""),
                    ("out/o", ""),
                    ("y.txt", ""),
                    ("sub/x.log", ""),
                    ("sub/keep.log", ""),
                    ("sub/y.txt", ""),
                    ("sub/out/o", ""),
                ] {
                    write(workdir, &format!("{root}/{path}"), content);
                }
            }
            write(workdir, "repo/.git/HEAD", "ref: refs/heads/main\n");
            let glob = |chain: &str| value(service, &format!(r#"{chain}.glob(pattern: "**/*")"#), &none());
            let kept = json!([
                ".git/",
                ".git/HEAD",
                ".gitignore",
                "keep.log",
                "sub/",
                "sub/.gitignore",
                "sub/keep.log",
                "sub/out/",
                "sub/out/o",
                "y.txt"
            ]);
            assert_eq!(glob(r#"host.directory(path: "repo", gitignore: true)"#), kept);
            let below = json!([".gitignore", "keep.log", "out/", "out/o"]);
            assert_eq!(
                glob(r#"host.directory(path: "repo/sub", gitignore: true)"#),
                below,
                "the parents' rules count"
            );
            let both = json!([".gitignore", "out/", "out/o"]);
            assert_eq!(
                glob(r#"host.directory(path: "repo/sub", gitignore: true, exclude: ["*.log"])"#),
                both
            );
            let all = value(service, r#"host.directory(path: "plain", gitignore: true).entries"#, &none());
            assert_eq!(
                all,
                json!([".gitignore", "keep.log", "out/", "sub/", "x.log", "y.txt"]),
                "no repository, no rules"
            );
        });
    }

    #[test]
    fn a_directory_is_read_once_in_a_session() {
        with_service(|daemon, workdir, service| {
            write(workdir, "d/f", "one");
            let read = |service: &Service, arguments: &str| {
                text(
                    service,
                    &format!(r#"host.directory(path: "d"{arguments}).file(path: "f").contents"#),
                    &none(),
                )
            };
            let id = text(service, r#"host.directory(path: "d").id"#, &none());
            assert_eq!(id, text(service, r#"host.directory(path: "d").id"#, &none()), "one ID");
            assert_eq!(read(service, ""), "one");
            assert_eq!(read(service, ", noCache: true"), "one");
            let pinned = text(service, r#"host.directory(path: "d", noCache: true).sync"#, &none());
            write(workdir, "d/f", "two, longer");
            assert_eq!(read(service, ""), "one", "as it was");
            assert_eq!(read(service, ", noCache: true"), "two, longer", "as it is");
            let pinned = none().with("pinned", "Directory", pinned);
            assert_eq!(
                text(service, r#"loadDirectoryFromID(id: $pinned).file(path: "f").contents"#, &pinned),
                "one",
                "as `sync` saw it"
            );
            assert_eq!(
                text(service, r#"host.file(path: "d/f", noCache: true).contents"#, &none()),
                "two, longer"
            );

            // Same size, same time, other bytes: a later session must see them.
            set_modified(&workdir.join("d/f"), 1_000_000_000);
            let second = Service::start(daemon, workdir);
            assert_eq!(read(&second, ""), "two, longer");
            drop(second);
            write(workdir, "d/f", "TWO, LONGER");
            set_modified(&workdir.join("d/f"), 1_000_000_000);
            assert_eq!(read(&Service::start(daemon, workdir), ""), "TWO, LONGER");
        });
    }

    #[test]
    fn paths_are_this_machine_s() {
        let Some(daemon) = treenail_test_fixtures::daemon() else { return };
        let root = tempfile::tempdir().expect("a directory");
        let root = root.path().canonicalize().expect("is there");
        write(&root, "home/h", "at home");
        write(&root, "p/t", "above");
        write(&root, "p/a/t", "beside");
        write(&root, "p/a/b/.hidden", "hidden");
        let workdir = root.join("p/a/b");
        let service = Service::start_with(daemon, &workdir, |command| {
            command.env("HOME", root.join("home"));
        });
        let absolute = root.join("p/t");
        for (chain, expected) in [
            (r#"host.directory(path: "..").file(path: "t").contents"#.to_owned(), "beside"),
            (r#"host.file(path: "../../t").contents"#.to_owned(), "above"),
            (r#"host.directory(path: "~").file(path: "h").contents"#.to_owned(), "at home"),
            (r#"host.file(path: "~/h").contents"#.to_owned(), "at home"),
            (format!(r#"host.file(path: "{}").contents"#, absolute.display()), "above"),
            (r#"host.file(path: ".hidden").contents"#.to_owned(), "hidden"),
            (r#"host.file(path: ".hidden").name"#.to_owned(), ".hidden"),
            (r#"host.findUp(name: "t")"#.to_owned(), "../t"),
        ] {
            assert_eq!(text(&service, &chain, &none()), expected, "{chain}");
        }
        assert_eq!(value(&service, r#"host.directory(path: "").entries"#, &none()), json!([".hidden"]));
        for (chain, part) in [
            (r#"host.directory(path: ".hidden").id"#, "not a directory"),
            (r#"host.file(path: "../b").id"#, "is a directory, not a file"),
        ] {
            let message = error(&service, chain, &none())["message"].to_string();
            assert!(message.contains(part), "{chain}: {message}");
        }
        // `host.file` is a directory's file with everything else left out.
        let id = text(&service, r#"host.file(path: "../t").id"#, &none());
        let bytes = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, id).expect("base64");
        let shown = String::from_utf8_lossy(&bytes);
        assert!(shown.contains("include") && shown.contains("directory"), "{shown}");
    }

    #[test]
    fn what_is_uploaded_keeps_its_kind_mode_and_time() {
        with_service(|_, workdir, service| {
            write(workdir, "t/run", "#!/bin/sh\n");
            write(workdir, "t/d/.private", "p");
            fs::set_permissions(workdir.join("t/run"), fs::Permissions::from_mode(0o751)).expect("set");
            fs::set_permissions(workdir.join("t/d/.private"), fs::Permissions::from_mode(0o600))
                .expect("set");
            fs::set_permissions(workdir.join("t/d"), fs::Permissions::from_mode(0o2770)).expect("set");
            symlink("d/.private", workdir.join("t/link")).expect("linked");
            symlink("/nowhere", workdir.join("t/broken")).expect("linked");
            std::os::unix::fs::chown(workdir.join("t/run"), Some(1234), Some(1234)).expect("root may");
            set_modified(&workdir.join("t/run"), 499_162_500);
            let values =
                none().with("tree", "Directory", text(service, r#"host.directory(path: "t").id"#, &none()));
            let listed = text(
                service,
                r#"C.withDirectory(path: "/t", source: $tree).withExec(args: ["sh", "-c", "cd /t; stat -c '%n %A %u:%g' run d d/.private link broken; stat -c %Y run; readlink link; readlink broken"]).stdout"#,
                &values,
            );
            assert_eq!(
                listed,
                "run -rwxr-x--x 0:0\nd drwxrws--- 0:0\nd/.private -rw------- 0:0\nlink lrwxrwxrwx 0:0\nbroken lrwxrwxrwx 0:0\n499162500\nd/.private\n/nowhere\n"
            );
            assert_eq!(
                value(service, r#"host.directory(path: "t").entries"#, &none()),
                json!(["broken", "d/", "link", "run"])
            );
            assert_eq!(
                text(service, r#"host.directory(path: "t").file(path: "link").contents"#, &none()),
                "p"
            );
        });
    }

    #[test]
    fn equal_content_elsewhere_is_no_new_work() {
        with_service(|daemon, workdir, service| {
            let nonce = nonce();
            let run = |service: &Service, folder: &str| {
                let tree = text(service, &format!(r#"host.directory(path: "{folder}").id"#), &none());
                text(
                    service,
                    r#"C.withDirectory(path: "/m", source: $tree).withExec(args: ["cat", "/proc/sys/kernel/random/uuid"]).stdout"#,
                    &none().with("tree", "Directory", tree),
                )
            };
            write(workdir, "a/f", &nonce);
            write(workdir, "b/f", &nonce);
            let first = run(service, "a");
            assert_eq!(first, run(service, "b"), "in one session");
            let second = Service::start(daemon, workdir);
            assert_eq!(first, run(&second, "b"), "in the next");
            write(workdir, "b/f", &format!("{nonce}+"));
            assert_ne!(first, run(&Service::start(daemon, workdir), "b"), "other content is other work");
        });
    }

    #[test]
    fn directories_are_exported_as_they_are() {
        with_service(|_, workdir, service| {
            let workdir = workdir.canonicalize().expect("is there");
            let tree = r#"D.withNewFile(path: "run", contents: "new", permissions: 493).withNewFile(path: "d/f", contents: "f").withSymlink(target: "run", linkName: "l").withTimestamps(timestamp: 499162500)"#;
            write(&workdir, "out/run", "old");
            write(&workdir, "out/extra", "stays");
            let answered = text(service, &format!(r#"{tree}.export(path: "out")"#), &none());
            assert_eq!(answered, workdir.join("out").display().to_string(), "the absolute path");
            let read = |path: &str| fs::read_to_string(workdir.join(path)).expect("is there");
            assert_eq!(
                (read("out/run"), read("out/extra"), read("out/d/f")),
                ("new".into(), "stays".into(), "f".into())
            );
            assert_eq!(mode(&workdir.join("out/run")), 0o755);
            let run = fs::metadata(workdir.join("out/run")).expect("is there");
            assert_eq!(run.mtime(), 499_162_500);
            assert_eq!(run.uid(), rustix::process::getuid().as_raw());
            assert_eq!(fs::read_link(workdir.join("out/l")).expect("a link"), Path::new("run"));

            let answered = text(service, &format!(r#"{tree}.export(path: "./out", wipe: true)"#), &none());
            assert_eq!(answered, workdir.join("out").display().to_string());
            assert!(!workdir.join("out/extra").exists(), "wiped");
            assert!(workdir.join("out/d/f").exists());

            let deep =
                text(service, &format!(r#"{tree}.directory(path: "d").export(path: "deep/er/x")"#), &none());
            assert_eq!(deep, workdir.join("deep/er/x").display().to_string());
            assert_eq!(
                fs::read_dir(workdir.join("deep/er/x")).expect("a directory").count(),
                1,
                "only what is in it"
            );
            assert_eq!(mode(&workdir.join("deep")), 0o700);
            // Twice is the same as once.
            let again =
                text(service, &format!(r#"{tree}.directory(path: "d").export(path: "deep/er/x")"#), &none());
            assert_eq!(again, deep);
            let empty = text(service, r#"D.export(path: "empty")"#, &none());
            assert_eq!(fs::read_dir(empty).expect("a directory").count(), 0);
            let up = text(service, &format!(r#"{tree}.export(path: "deep/../up")"#), &none());
            assert_eq!(up, workdir.join("up").display().to_string());
            // A directory takes the place of nothing else.
            write(&workdir, "file", "stays");
            let message =
                error(service, &format!(r#"{tree}.export(path: "file")"#), &none())["message"].to_string();
            assert_eq!(read("file"), "stays", "{message}");
            // From a container, mounts included.
            let values = none().with("tree", "Directory", text(service, &format!("{tree}.id"), &none()));
            let _ = text(
                service,
                r#"C.withMountedDirectory(path: "/m", source: $tree).withExec(args: ["sh", "-c", "echo made > /m/made"]).directory(path: "/m").export(path: "mounted")"#,
                &values,
            );
            assert_eq!(read("mounted/made"), "made\n");
        });
    }

    #[test]
    fn files_are_exported_as_they_are() {
        with_service(|_, workdir, service| {
            let workdir = workdir.canonicalize().expect("is there");
            let file =
                r#"D.withNewFile(path: "d/tool", contents: "tool", permissions: 488).file(path: "d/tool")"#;
            let export = |arguments: &str| format!("{file}.export({arguments})");
            let read = |path: &str| fs::read_to_string(workdir.join(path)).expect("is there");

            let answered = text(service, &export(r#"path: "new/deep/x""#), &none());
            assert_eq!(answered, workdir.join("new/deep/x").display().to_string());
            assert_eq!((read("new/deep/x").as_str(), mode(&workdir.join("new/deep/x"))), ("tool", 0o750));
            write(&workdir, "over", "a longer text that was here");
            let _ = text(service, &export(r#"path: "over""#), &none());
            assert_eq!(read("over"), "tool");

            fs::create_dir(workdir.join("dir")).expect("made");
            let message = error(service, &export(r#"path: "dir""#), &none())["message"].to_string();
            assert!(
                message.contains("is a directory; must be a file path unless allowParentDirPath is set"),
                "{message}"
            );
            assert_eq!(fs::read_dir(workdir.join("dir")).expect("a directory").count(), 0);
            let answered = text(service, &export(r#"path: "dir", allowParentDirPath: true"#), &none());
            assert_eq!(read("dir/tool"), "tool", "{answered}");
            let _ = text(service, &export(r#"path: "plain", allowParentDirPath: true"#), &none());
            assert_eq!(read("plain"), "tool");
            // The file of an upload goes back.
            write(&workdir, "source", "from here");
            let _ = text(service, r#"host.file(path: "source").export(path: "copy")"#, &none());
            assert_eq!(read("copy"), "from here");
        });
    }

    #[test]
    fn files_beyond_the_limit_of_an_answer_can_be_exported() {
        with_service(|_, workdir, service| {
            let file = r#"C.withExec(args: ["truncate", "-s", "134217729", "/big"]).file(path: "/big")"#;
            assert_eq!(value(service, &format!("{file}.size"), &none()), Value::from(134_217_729));
            let message = error(service, &format!("{file}.contents"), &none())["message"].to_string();
            assert!(message.contains("file size 134217729 exceeds limit 134217728"), "{message}");
            let _ = text(service, &format!(r#"{file}.export(path: "big")"#), &none());
            assert_eq!(fs::metadata(workdir.join("big")).expect("is there").len(), 134_217_729);
        });
    }
}
