//! Dockerfiles, built by the daemon's own frontend.
//!
//! # Source
//! `contract/container.md` 7.

mod daemon {
    use serde_json::json;

    use crate::notation::{Let, Values, error, evaluate, text, value};
    use crate::service::{Service, nonce};

    fn service() -> Option<(Service, tempfile::TempDir)> {
        let daemon = treenail_test_fixtures::daemon()?;
        let workdir = tempfile::tempdir().expect("a folder");
        Some((Service::start(daemon, workdir.path()), workdir))
    }

    /// A directory with these files, as a chain.
    fn directory(files: &[(&str, &str)]) -> String {
        let file = |(path, contents): &(&str, &str)| {
            format!(".withNewFile(path: {}, contents: {})", json!(path), json!(contents))
        };
        format!("D{}", files.iter().map(file).collect::<String>())
    }

    fn no_values() -> Values {
        Values::default()
    }

    fn message(service: &Service, chain: &str, values: &Values) -> String {
        error(service, chain, values)["message"].as_str().expect("a text").to_owned()
    }

    #[test]
    fn the_last_stage_gives_files_and_configuration() {
        let Some((service, _workdir)) = service() else { return };
        let file = "FROM alpine:3.22 AS base\nARG WORD=default\nENV FROM_BASE=1\nRUN echo \"$WORD\" > /word\n\
                    FROM base AS other\nENV OTHER=1\n\
                    FROM base\nCOPY --chown=5:6 file /copied/\nENV A=\"x y\"\nLABEL l=v\nEXPOSE 80 53/udp\nUSER 5:6\n\
                    WORKDIR /w\nENTRYPOINT [\"/bin/cat\"]\nCMD [\"/word\"]\n";
        let source = directory(&[("Dockerfile", file), ("file", "content")]);
        let built = format!("{source}.dockerBuild(buildArgs: [{{name: \"WORD\", value: \"given\"}}])");
        let fields = value(
            &service,
            &format!(
                "{built}.{{user workdir entrypoint defaultArgs platform exposedPorts{{port protocol}} \
                 labels{{name value}} a: envVariable(name: \"A\") base: envVariable(name: \"FROM_BASE\") \
                 other: envVariable(name: \"OTHER\") mounts annotations: label(name: \"none\")}}"
            ),
            &no_values(),
        );
        assert_eq!(
            fields,
            json!({
                "user": "5:6", "workdir": "/w", "entrypoint": ["/bin/cat"], "defaultArgs": ["/word"],
                "platform": "linux/amd64",
                "exposedPorts": [{"port": 53, "protocol": "UDP"}, {"port": 80, "protocol": "TCP"}],
                "labels": [{"name": "l", "value": "v"}],
                "a": "x y", "base": "1", "other": null, "mounts": [], "annotations": null,
            })
        );
        assert_eq!(
            text(&service, &format!("{built}.file(path: \"/word\").contents"), &no_values()),
            "given\n"
        );
        // Commands, files and images stand on it as on any other container.
        let run = format!(
            "{built}.withUser(name: \"0\").withExec(args: [\"stat\", \"-c\", \"%u:%g\", \"/copied/file\"]).stdout"
        );
        assert_eq!(text(&service, &run, &no_values()), "5:6\n");
        let own = format!("{built}.withExec(args: [], useEntrypoint: true).stdout");
        assert_eq!(text(&service, &own, &no_values()), "given\n");

        let other = format!("{source}.dockerBuild(target: \"other\")");
        assert_eq!(
            text(&service, &format!("{other}.file(path: \"/word\").contents"), &no_values()),
            "default\n"
        );
        assert_eq!(value(&service, &format!("{other}.exists(path: \"/copied\")"), &no_values()), false);
        assert_eq!(text(&service, &format!("{other}.envVariable(name: \"OTHER\")"), &no_values()), "1");
    }

    #[test]
    fn a_stage_from_nothing_and_another_platform_need_no_command() {
        let Some((service, _workdir)) = service() else { return };
        let source = directory(&[
            ("Dockerfile", "FROM scratch\nCOPY a /\n"),
            ("Empty", "FROM scratch\nENV A=1\n"),
            ("a", "x"),
        ]);
        let arm = format!("{source}.dockerBuild(platform: \"linux/arm64\")");
        assert_eq!(
            value(&service, &format!("{arm}.{{platform rootfs{{entries}}}}"), &no_values()),
            json!({"platform": "linux/arm64", "rootfs": {"entries": ["a"]}})
        );
        let listed = format!(
            "{source}.dockerBuild(buildArgs: [{{name: \"BUILDKIT_MULTI_PLATFORM\", value: \"1\"}}]).rootfs.entries"
        );
        assert_eq!(value(&service, &listed, &no_values()), json!(["a"]));
        let empty = format!("{source}.dockerBuild(dockerfile: \"Empty\", noInit: true)");
        assert_eq!(
            value(&service, &format!("{empty}.{{envVariable(name: \"A\") rootfs{{entries}}}}"), &no_values()),
            json!({"envVariable": "1", "rootfs": {"entries": []}})
        );
    }

    #[test]
    fn the_context_is_what_the_ignore_file_leaves() {
        let Some((service, _workdir)) = service() else { return };
        let file = "FROM scratch\nCOPY . /c/\n";
        let files = [
            ("app/Dockerfile", file),
            ("app/deep/Other", file),
            ("app/.dockerignore", "# all logs\n*.log\n!keep.log\n/sub/hidden\ndeep\n"),
            ("app/deep/Other.dockerignore", "*\n!a\n"),
            ("app/deep/Blank", file),
            ("app/deep/Blank.dockerignore", ""),
            ("app/a", ""),
            ("app/x.log", ""),
            ("app/keep.log", ""),
            ("app/sub/hidden", ""),
            ("app/sub/seen", ""),
            ("above", ""),
        ];
        let app = format!("{}.directory(path: \"app\")", directory(&files));
        let entries = |arguments: &str| {
            let chain = format!("{app}.dockerBuild{arguments}.directory(path: \"/c\").glob(pattern: \"**\")");
            value(&service, &chain, &no_values())
        };
        let all = json!([".dockerignore", "Dockerfile", "a", "keep.log", "sub/", "sub/seen"]);
        assert_eq!(entries(""), all);
        // A file of its own counts instead of the general one; the Dockerfile itself is read although ignored.
        assert_eq!(entries("(dockerfile: \"deep/Other\")"), json!(["a"]));
        assert_eq!(entries("(dockerfile: \"deep/Blank\")"), all);
        let bad =
            format!("{}.dockerBuild.id", directory(&[("Dockerfile", file), (".dockerignore", "a\n[\n")]));
        assert_eq!(message(&service, &bad, &no_values()), ".dockerignore: syntax error in pattern: \"[\"");
    }

    #[test]
    fn a_failing_command_is_told_with_what_it_wrote() {
        let Some((service, _workdir)) = service() else { return };
        let word = nonce();
        let file = format!("FROM alpine:3.22\nENV A=1\nRUN echo out-{word}; echo err-{word} >&2; exit 3\n");
        let built = format!("{}.dockerBuild", directory(&[("Dockerfile", &file)]));
        // Its configuration can be read, and what stands on it be said.
        assert_eq!(text(&service, &format!("{built}.envVariable(name: \"A\")"), &no_values()), "1");
        text(&service, &format!("{built}.withExec(args: [\"true\"]).id"), &no_values());
        let command = format!("echo out-{word}; echo err-{word} >&2; exit 3");
        // The second time the daemon answers what it remembers, without a run.
        for end in ["sync", "withExec(args: [\"true\"]).stdout", "sync"] {
            let failure = error(&service, &format!("{built}.{end}"), &no_values());
            let said = failure["message"].as_str().expect("a text");
            assert!(
                said.starts_with(&format!(
                    "process \"/bin/sh -c {command}\" did not complete successfully: exit code: 3"
                )),
                "{said}"
            );
            assert_eq!(
                failure["extensions"],
                json!({
                    "_type": "EXEC_ERROR", "cmd": ["/bin/sh", "-c", command], "exitCode": 3,
                    "stdout": format!("out-{word}"), "stderr": format!("err-{word}"),
                }),
                "{end}"
            );
        }
    }

    #[test]
    fn a_file_that_makes_no_sense_is_refused_at_once() {
        let Some((service, _workdir)) = service() else { return };
        let files = [
            ("Dockerfile", "FROM alpine:3.22\n"),
            ("Unknown", "FROM alpine:3.22\nFROBNICATE x\n"),
            ("Base", "FROM no-such-image-of-ours:1\n"),
            ("Copy", "FROM scratch\nCOPY missing /\n"),
        ];
        let source = directory(&files);
        let refused = |arguments: &str| {
            message(&service, &format!("{source}.dockerBuild({arguments}).id"), &no_values())
        };
        for (arguments, expected) in [
            ("dockerfile: \"None\"", "failed to read dockerfile: open None: no such file or directory"),
            ("dockerfile: \"Unknown\"", "dockerfile parse error on line 2: unknown instruction: FROBNICATE"),
            ("target: \"none\"", "target stage \"none\" could not be found"),
            ("dockerfile: \"Base\"", "no-such-image-of-ours:1"),
        ] {
            let said = refused(arguments);
            assert!(said.starts_with(expected), "{arguments}: {said}");
        }
        let nothing = message(&service, "D.dockerBuild.id", &no_values());
        assert_eq!(nothing, "failed to read dockerfile: open Dockerfile: no such file or directory");
        // What its steps do shows when they run.
        let missing =
            message(&service, &format!("{source}.dockerBuild(dockerfile: \"Copy\").sync"), &no_values());
        assert!(missing.contains("\"/missing\": not found"), "{missing}");
    }

    const SECRETS: &[Let] = &[
        ("token", "Secret", "setSecret(name: \"token\", plaintext: \"plain-token\")"),
        ("other", "Secret", "setSecret(name: \"other\", plaintext: \"plain-other\")"),
        ("marked", "Secret", "setSecret(name: \"treenail-init-1-amd64\", plaintext: \"marked\")"),
        ("nameless", "Secret", "secret(uri: \"cmd://echo x\")"),
    ];

    #[test]
    fn commands_see_the_secrets_that_the_build_was_given() {
        let Some((service, _workdir)) = service() else { return };
        let values = evaluate(&service, SECRETS).expect("secrets");
        let word = nonce();
        let run = |mounts: &str, command: &str| {
            let file = format!("FROM alpine:3.22\nRUN {mounts} : {word}; {command}\n");
            directory(&[("Dockerfile", &file)])
        };
        let mount = "--mount=type=secret,id=token,required=true";
        let seen = run(mount, "cat /run/secrets/token | sha256sum > /seen");
        let built = format!("{seen}.dockerBuild(secrets: [$token])");
        let found = text(&service, &format!("{built}.file(path: \"/seen\").contents"), &values);
        let expected = text(
            &service,
            "C.withNewFile(path: \"/t\", contents: \"plain-token\").withExec(args: [\"sh\", \"-c\", \"cat /t | sha256sum\"]).stdout",
            &values,
        );
        assert_eq!(found, expected);
        // They stay mounted, and what commands print of them is hidden.
        let shown = format!(
            "{built}.withExec(args: [\"sh\", \"-c\", \"stat -c %a /run/secrets/token; cat /run/secrets/token\"]).stdout"
        );
        assert_eq!(text(&service, &shown, &values), "400\n***");
        let printed = run(mount, "cat /run/secrets/token; exit 1");
        let failure =
            error(&service, &format!("{printed}.dockerBuild(secrets: [$token, $other]).sync"), &values);
        assert_eq!(failure["extensions"]["stdout"], "***", "{failure}");

        // Another build of the session does not have them.
        for arguments in ["", "(secrets: [$other])"] {
            let chain = format!("{}.dockerBuild{arguments}", run(mount, "true"));
            assert_eq!(message(&service, &format!("{chain}.sync"), &values), "secret not found: token");
            text(&service, &format!("{chain}.id"), &values);
        }
        let optional = run("--mount=type=secret,id=token", "ls /run/secrets > /seen 2>&1; true");
        let chain = format!("{optional}.dockerBuild.file(path: \"/seen\").contents");
        assert!(!text(&service, &chain, &values).lines().any(|line| line == "token"));
        let variable = run("--mount=type=secret,id=token,env=TOKEN", "echo \"[$TOKEN]\" > /seen");
        let chain =
            |arguments: &str| format!("{variable}.dockerBuild{arguments}.file(path: \"/seen\").contents");
        assert_eq!(text(&service, &chain(""), &values), "[]\n");
        assert_eq!(text(&service, &chain("(secrets: [$token])"), &values), "[plain-token]\n");
        let marked = run(
            "--mount=type=secret,id=treenail-init-1-amd64",
            "cat /run/secrets/treenail-init-1-amd64 > /seen",
        );
        let chain = format!("{marked}.dockerBuild(secrets: [$marked]).file(path: \"/seen\").contents");
        assert_eq!(text(&service, &chain, &values), "marked");
        let refused = message(&service, &format!("{seen}.dockerBuild(secrets: [$nameless]).id"), &values);
        assert_eq!(refused, "a secret by URI has no name that a Dockerfile could mount it by; use setSecret");
    }
}
