//! What one session leaves for the next.
//!
//! # Source
//! `contract/ids.md` 5, `contract/container.md` 3 and 5.

mod daemon {
    use serde_json::json;

    use crate::notation::{Values, error, text};
    use crate::service::{Service, nonce};

    #[test]
    fn what_ran_once_is_not_run_again() {
        let Some(daemon) = treenail_test_fixtures::daemon() else { return };
        let workdir = tempfile::tempdir().expect("a working directory");
        let first = Service::start(daemon, workdir.path());
        let nonce = nonce();
        let random = format!(
            r#"C.withEnvVariable(name: "N", value: "{nonce}").withExec(args: ["cat", "/proc/sys/kernel/random/uuid"]).stdout"#
        );
        let answer = text(&first, &random, &Values::default());
        assert_eq!(answer, text(&first, &random, &Values::default()), "twice in a session");
        let second = Service::start(daemon, workdir.path());
        assert_eq!(answer, text(&second, &random, &Values::default()), "in another session");

        // A failure counts its runs in a volume.
        let volume = |service: &Service| {
            let id = text(service, &format!(r#"cacheVolume(key: "runs-{nonce}").id"#), &Values::default());
            Values::default().with("runs", "CacheVolume", id)
        };
        let runs = |service: &Service, look: u32| {
            let chain = format!(
                r#"C.withMountedCache(path: "/c", cache: $runs).withEnvVariable(name: "N", value: "{nonce}-{look}").withExec(args: ["sh", "-c", "wc -l < /c/n"]).stdout"#
            );
            text(service, &chain, &volume(service))
        };
        let failing = r#"C.withMountedCache(path: "/c", cache: $runs).withExec(args: ["sh", "-c", "echo run >> /c/n; echo out; echo err >&2; exit 3"])"#;
        let mut seen = Vec::new();
        for end in
            ["sync", "stdout", r#"file(path: "/etc/passwd").contents"#, r#"withExec(args: ["true"]).sync"#]
        {
            seen.push(error(&first, &format!("{failing}.{end}"), &volume(&first))["extensions"].clone());
        }
        let id = text(&first, &format!("{failing}.id"), &volume(&first));
        let held = Values::default().with("held", "Container", id);
        seen.push(error(&first, "loadContainerFromID(id: $held).stderr", &held)["extensions"].clone());
        let expected = &seen[0];
        assert_eq!(
            (&expected["stdout"], &expected["stderr"], &expected["exitCode"]),
            (&json!("out"), &json!("err"), &json!(3))
        );
        assert!(seen.iter().all(|other| other == expected), "{seen:#?}");
        assert_eq!(runs(&first, 0), "1\n", "once in its session");
        drop(first);
        let third = Service::start(daemon, workdir.path());
        assert_eq!(error(&third, &format!("{failing}.sync"), &volume(&third))["extensions"], *expected);
        assert_eq!(runs(&third, 1), "2\n", "again in a later session");
    }

    #[test]
    fn cache_volumes_are_shared_between_sessions_and_seeded_once() {
        let Some(daemon) = treenail_test_fixtures::daemon() else { return };
        let workdir = tempfile::tempdir().expect("a working directory");
        let nonce = nonce();
        let values = |service: &Service| {
            let seed =
                text(service, r#"D.withNewFile(path: "init", contents: "seed").id"#, &Values::default());
            let id = text(service, &format!(r#"cacheVolume(key: "seeded-{nonce}").id"#), &Values::default());
            Values::default().with("volume", "CacheVolume", id).with("seed", "Directory", seed)
        };
        let run = |service: &Service, mount: &str, command: &str| {
            let chain = format!(
                r#"C.withMountedCache(path: "/c", cache: $volume{mount}).withEnvVariable(name: "N", value: "{nonce}").withExec(args: ["sh", "-c", "{command}"]).stdout"#
            );
            text(service, &chain, &values(service))
        };
        let first = Service::start(daemon, workdir.path());
        assert_eq!(run(&first, ", source: $seed", "cat /c/init; echo more > /c/more; rm /c/init"), "seed");
        assert_eq!(run(&first, ", source: $seed", "ls /c"), "more\n", "what the volume holds");
        assert_eq!(run(&first, "", "ls /c; touch /c/bare"), "", "without the source it is another volume");
        drop(first);
        let second = Service::start(daemon, workdir.path());
        assert_eq!(run(&second, ", source: $seed", "ls /c # later"), "more\n");
        assert_eq!(run(&second, "", "ls /c # later"), "bare\n");
    }

    /// A command that answers differently each time shows whether it ran again: what one session asked for, and what
    /// it left alone, must be of one run.
    #[test]
    fn what_ran_in_one_session_is_whole_in_the_next() {
        let Some(daemon) = treenail_test_fixtures::daemon() else { return };
        let workdir = tempfile::tempdir().expect("a working directory");
        let nonce = nonce();
        let first = format!(
            r#"C.withMountedDirectory(path: "/kept", source: $empty).withExec(args: ["sh", "-c", "cat /proc/sys/kernel/random/uuid | tee /root-file /kept/file; echo {nonce} >&2"])"#
        );
        let ask = |service: &Service, chain: &str| {
            let empty = text(service, "directory.id", &Values::default());
            let values = Values::default().with("empty", "Directory", empty);
            text(service, &format!("{first}{chain}"), &values).trim().to_owned()
        };
        let then = format!(r#".withExec(args: ["sh", "-c", "cat /root-file; echo {nonce} >&2"])"#);

        let opened = Service::start(daemon, workdir.path());
        let uuid = ask(&opened, &format!("{then}.stdout"));
        drop(opened);
        for rest in [
            ".stdout",
            r#".file(path: "/root-file").contents"#,
            r#".directory(path: "/kept").file(path: "file").contents"#,
            r#"THEN.file(path: "/root-file").contents"#,
            r#"THEN.directory(path: "/kept").file(path: "file").contents"#,
            "THEN.stdout",
        ] {
            // A session each: within one the daemon has everything of a command at hand anyway.
            let opened = Service::start(daemon, workdir.path());
            assert_eq!(ask(&opened, &rest.replace("THEN", &then)), uuid, "{rest}");
        }
    }
}
