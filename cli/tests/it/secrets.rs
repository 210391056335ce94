//! Secrets printed by a command in every way it can: their plaintext is nowhere but in the command.
//!
//! # Source
//! `DESIGN.md` promise 6, `contract/container.md` 5 "Secret scrubbing", `contract/ids.md` 6.

mod daemon {
    use std::collections::BTreeSet;
    use std::fmt::Write as _;
    use std::path::Path;
    use std::process::{Command, Stdio};

    use base64::Engine as _;
    use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
    use serde_json::Value;
    use treenail_test_fixtures::TestDaemon;

    use crate::notation::{Values, error, text};
    use crate::service::{Service, nonce};

    /// Ways to cut a secret.
    const CHUNKINGS: usize = 1_000;

    fn none() -> Values {
        Values::default()
    }

    /// A secret that no earlier run has used. Every letter of it occurs in each kind of encoding.
    fn plaintext(label: &str) -> String {
        format!("{label}~{}~{label}", nonce())
    }

    /// A secret as it must not be seen: itself, and what a careless program makes of it.
    fn shapes(secret: &str) -> Vec<Vec<u8>> {
        let mut shapes = vec![secret.as_bytes().to_vec()];
        // In base64 the same bytes look otherwise at each of three offsets; the ends depend on what stands beside.
        for offset in 0..3 {
            let mut shifted = vec![0_u8; offset];
            shifted.extend_from_slice(secret.as_bytes());
            let encoded = STANDARD_NO_PAD.encode(shifted);
            shapes.push(encoded.as_bytes()[4..encoded.len() - 4].to_vec());
        }
        let hex = secret.bytes().fold(String::new(), |mut hex, byte| {
            write!(hex, "{byte:02x}").expect("a string takes all");
            hex
        });
        shapes.push(hex.into_bytes());
        shapes
    }

    fn assert_absent(secrets: &[&str], place: &str, bytes: &[u8]) {
        for secret in secrets {
            for shape in shapes(secret) {
                let found = bytes.windows(shape.len()).position(|window| window == shape);
                if let Some(at) = found {
                    let around = &bytes[at.saturating_sub(200)..(at + shape.len() + 200).min(bytes.len())];
                    panic!("{place} shows a secret: {}", String::from_utf8_lossy(around));
                }
            }
        }
    }

    /// The daemon's own client.
    fn buildctl(daemon: &TestDaemon, arguments: &[&str]) -> Vec<u8> {
        let output = Command::new(daemon.buildctl())
            .args(["--addr", daemon.address()])
            .args(arguments)
            .stdin(Stdio::null())
            .output()
            .expect("buildctl runs");
        [output.stdout, output.stderr].concat()
    }

    fn records(daemon: &TestDaemon) -> BTreeSet<String> {
        let listed = buildctl(daemon, &["debug", "histories", "--format", "{{json .}}"]);
        String::from_utf8_lossy(&listed)
            .lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok())
            .filter_map(|event| event["record"]["Ref"].as_str().map(str::to_owned))
            .collect()
    }

    /// Everything that the daemon has written down about builds: the records, their logs, and every blob they name.
    fn history(daemon: &TestDaemon, builds: &BTreeSet<String>) -> Vec<u8> {
        let listed = buildctl(daemon, &["debug", "histories", "--format", "{{json .}}"]);
        let mut all = Vec::new();
        for line in String::from_utf8_lossy(&listed).lines() {
            let Ok(event) = serde_json::from_str::<Value>(line) else { continue };
            if !event["record"]["Ref"].as_str().is_some_and(|build| builds.contains(build)) {
                continue;
            }
            all.extend_from_slice(line.as_bytes());
            let mut digests = BTreeSet::new();
            find_digests(&event, &mut digests);
            for digest in digests {
                all.extend_from_slice(&buildctl(daemon, &["debug", "get", &digest]));
            }
        }
        for build in builds {
            let log = buildctl(daemon, &["debug", "logs", "--progress", "rawjson", build]);
            all.extend_from_slice(&decoded_logs(&log));
            all.extend_from_slice(&log);
            all.extend_from_slice(&buildctl(daemon, &["debug", "logs", "--progress", "plain", build]));
        }
        all
    }

    fn find_digests(value: &Value, found: &mut BTreeSet<String>) {
        match value {
            Value::String(text) if text.starts_with("sha256:") => drop(found.insert(text.clone())),
            Value::Array(items) => items.iter().for_each(|item| find_digests(item, found)),
            Value::Object(members) => members.values().for_each(|member| find_digests(member, found)),
            _ => {}
        }
    }

    /// What progress events carry as base64, as one text: a secret cut over two events must be found, too.
    fn decoded_logs(events: &[u8]) -> Vec<u8> {
        let mut all = Vec::new();
        for line in String::from_utf8_lossy(events).lines() {
            let Ok(event) = serde_json::from_str::<Value>(line) else { continue };
            for log in event["logs"].as_array().into_iter().flatten() {
                all.extend(
                    log["data"].as_str().and_then(|data| STANDARD.decode(data).ok()).unwrap_or_default(),
                );
            }
        }
        all
    }

    /// A script that writes both secrets to both outputs, cut at places that a fixed seed chooses, each piece by a
    /// write of its own. `$T` is the one, `/run/s` the other.
    fn script() -> String {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut random = |below: u64| {
            // xorshift64
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state % below
        };
        let mut script = "F=$(cat /run/s)\ncut() { printf %s \"${1:$2:$3}\"; }\n".to_owned();
        for round in 0..CHUNKINGS {
            let (variable, to) = (["T", "F"][round % 2], ["", " >&2"][round / 2 % 2]);
            let mut at = 0;
            let mut line = String::from("{ printf '<'; ");
            while at < 70 {
                let length = if round % 7 == 0 { 1 + random(3) } else { 1 + random(40) };
                write!(line, "cut \"${variable}\" {at} {length}; ").expect("a string takes all");
                at += length;
            }
            writeln!(script, "{line}echo '>'; }}{to}").expect("a string takes all");
        }
        script
    }

    fn run(service: &Service, secrets: [&str; 2], ending: &str) -> Values {
        let nonce = nonce();
        let set = |name: &str, value: &str| {
            let answer = service.post(&serde_json::json!({
                "query": "query($n: String!, $p: String!){setSecret(name: $n, plaintext: $p){id}}",
                "variables": {"n": format!("{name}-{nonce}"), "p": value},
            }));
            answer.json()["data"]["setSecret"]["id"].as_str().expect("an ID").to_owned()
        };
        let script = text(
            service,
            &format!(
                "D.withNewFile(path: \"s.sh\", contents: {}).file(path: \"s.sh\").id",
                Value::String(format!("{}{ending}\n", script()))
            ),
            &none(),
        );
        none()
            .with("variable", "Secret", set("variable", secrets[0]))
            .with("mounted", "Secret", set("file", secrets[1]))
            .with("script", "File", script)
    }

    const PRINT: &str = r#"C.withSecretVariable(name: "T", secret: $variable).withMountedSecret(path: "/run/s", source: $mounted).withMountedFile(path: "/s.sh", source: $script).withExec(args: ["sh", "/s.sh"], redirectStdout: "/o", redirectStderr: "/e")"#;

    fn check_lines(output: &str, count: usize) {
        let lines: Vec<&str> = output.lines().collect();
        assert_eq!(lines.len(), count);
        for line in lines {
            assert_eq!(line, "<***>");
        }
    }

    #[test]
    fn a_thousand_cuttings_are_scrubbed_everywhere() {
        let Some(daemon) = treenail_test_fixtures::daemon() else { return };
        let workdir = tempfile::tempdir().expect("a working directory");
        let (variable, mounted) = (plaintext("var"), plaintext("file"));
        assert_eq!(variable.len().max(mounted.len()), 32 + 2 + 8, "shorter than the script cuts");
        let secrets = [variable.as_str(), mounted.as_str()];
        for mode in ["plain", "rawjson"] {
            let before = records(daemon);
            let shown = workdir.path().join(mode);
            let errors = std::fs::File::create(&shown).expect("made");
            let service = Service::start_with(daemon, workdir.path(), |command| {
                command.args(["--progress", mode, "-vv"]).stderr(errors);
            });
            let values = run(&service, secrets, "true");
            for end in ["stdout", "stderr"] {
                check_lines(&text(&service, &format!("{PRINT}.{end}"), &values), CHUNKINGS / 2);
            }
            // Pieces of the two streams may alternate here.
            let combined = text(&service, &format!("{PRINT}.combinedOutput"), &values);
            assert_eq!(combined.matches("***").count(), CHUNKINGS);
            assert!(combined.chars().all(|letter| "<*>\n".contains(letter)), "nothing else is written");
            for file in ["/o", "/e"] {
                check_lines(
                    &text(&service, &format!(r#"{PRINT}.file(path: "{file}").contents"#), &values),
                    CHUNKINGS / 2,
                );
            }
            let id = text(&service, &format!("{PRINT}.id"), &values);
            assert_absent(&secrets, "an ID", &STANDARD.decode(&id).expect("base64"));

            // The same in a command that fails.
            let failing = run(&service, secrets, "echo \"$T\"; cat /run/s >&2; exit 3");
            let answer = error(&service, &format!("{PRINT}.sync"), &failing);
            assert_eq!(answer["extensions"]["exitCode"], 3);
            assert!(
                answer["extensions"]["stdout"].as_str().expect("a text").ends_with("<***>\n***"),
                "{answer}"
            );
            assert!(
                answer["extensions"]["stderr"].as_str().expect("a text").ends_with("<***>\n***"),
                "{answer}"
            );
            assert_absent(&secrets, "an error", answer.to_string().as_bytes());
            drop(service);

            let progress = std::fs::read(&shown).expect("is there");
            let stars = progress.windows(3).filter(|window| window == b"***").count();
            if mode == "plain" {
                assert!(stars >= CHUNKINGS, "the outputs were shown: {stars}");
            } else {
                let logs = decoded_logs(&progress);
                assert!(
                    logs.windows(5).filter(|window| window == b"<***>").count() >= CHUNKINGS,
                    "the outputs were shown"
                );
                assert_absent(&secrets, "decoded progress", &logs);
            }
            assert_absent(&secrets, mode, &progress);
            let builds = &records(daemon) - &before;
            let history = history(daemon, &builds);
            assert!(history.windows(5).any(|window| window == b"<***>"), "the history holds the outputs");
            assert_absent(&secrets, "the daemon's history", &history);
        }
        if let Some(log) = daemon.log() {
            assert_absent(&secrets, "the daemon's log", &std::fs::read(log).expect("is there"));
        }
        check_store(daemon, &secrets);
    }

    /// The daemon's databases, where this machine can see them: definitions, provenance and history records are there.
    fn check_store(daemon: &TestDaemon, secrets: &[&str]) {
        let Some(root) = daemon.log().and_then(Path::parent).map(|run| run.join("root")) else { return };
        let mut folders = vec![root];
        while let Some(folder) = folders.pop() {
            let Ok(entries) = std::fs::read_dir(&folder) else { continue };
            for entry in entries.flatten() {
                let path = entry.path();
                let Ok(kind) = entry.file_type() else { continue };
                // Snapshots are file systems of containers; the test looks into those through the API.
                if kind.is_dir() && entry.file_name() != "snapshots" && entry.file_name() != "executor" {
                    folders.push(path);
                } else if kind.is_file() && entry.metadata().is_ok_and(|metadata| metadata.len() < 64 << 20) {
                    let Ok(bytes) = std::fs::read(&path) else { continue };
                    for secret in secrets {
                        let seen = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
                        assert!(!seen, "{} holds a secret", path.display());
                    }
                }
            }
        }
    }

    #[test]
    fn what_is_scrubbed_and_what_is_not() {
        let Some(daemon) = treenail_test_fixtures::daemon() else { return };
        let workdir = tempfile::tempdir().expect("a working directory");
        let service = Service::start(daemon, workdir.path());
        let nonce = nonce();
        for (at, (plaintext, command, expected)) in [
            (" spaced ", "echo \"[$T]\"; echo [spaced]", "[***]\n[***]\n"),
            ("two\nlines", "echo \"$T\"; echo two", "***\ntwo\n"),
            ("", "echo \"[$T]\"", "[]\n"),
            ("aXa", "echo aXaXa", "***\n"),
            ("part", "printf par; exit 0", "par"),
        ]
        .into_iter()
        .enumerate()
        {
            let secret = format!(
                "setSecret(name: \"s{at}-{nonce}\", plaintext: {}).id",
                Value::String(plaintext.to_owned())
            );
            let values = none().with("secret", "Secret", text(&service, &secret, &none()));
            let chain = format!(
                r#"C.withSecretVariable(name: "T", secret: $secret).withExec(args: ["sh", "-c", {}]).stdout"#,
                Value::String(command.to_owned())
            );
            assert_eq!(text(&service, &chain, &values), expected, "{plaintext:?}");
        }
        // Without the helper's place the outputs are scrubbed when they are read.
        let values = none().with(
            "secret",
            "Secret",
            text(
                &service,
                &format!(r#"setSecret(name: "n-{nonce}", plaintext: "plain-{nonce}").id"#),
                &none(),
            ),
        );
        let chain = r#"C.withSecretVariable(name: "T", secret: $secret).withExec(args: ["sh", "-c", "echo \"<$T>\""], noInit: true).stdout"#;
        assert_eq!(text(&service, chain, &values), "<***>\n");
        // What the process itself writes is its own.
        let chain = r#"C.withSecretVariable(name: "T", secret: $secret).withExec(args: ["sh", "-c", "echo $T > /f"]).file(path: "/f").contents"#;
        assert_eq!(text(&service, chain, &values), format!("plain-{nonce}\n"));
        // A secret of another container is not scrubbed here, and one that was removed no more.
        let chain = format!(
            r#"C.withSecretVariable(name: "T", secret: $secret).withoutSecretVariable(name: "T").withExec(args: ["echo", "plain-{nonce}"]).stdout"#
        );
        assert_eq!(text(&service, &chain, &values), format!("plain-{nonce}\n"));
    }

    #[test]
    fn names_and_values_decide_what_is_run_again() {
        let Some(daemon) = treenail_test_fixtures::daemon() else { return };
        let workdir = tempfile::tempdir().expect("a working directory");
        let nonce = nonce();
        let with_variables = |one: &str, two: &str| {
            let (one, two) = (one.to_owned(), two.to_owned());
            Service::start_with(daemon, workdir.path(), move |command| {
                command.env("TREENAIL_TEST_ONE", one).env("TREENAIL_TEST_TWO", two);
            })
        };
        let random = |service: &Service, secret: &str| {
            let values = none().with("secret", "Secret", text(service, &format!("{secret}.id"), &none()));
            let chain = format!(
                r#"C.withSecretVariable(name: "T", secret: $secret).withEnvVariable(name: "N", value: "{nonce}").withExec(args: ["cat", "/proc/sys/kernel/random/uuid"]).stdout"#
            );
            text(service, &chain, &values)
        };
        let set = |value: &str| format!(r#"setSecret(name: "shared-{nonce}", plaintext: "{value}")"#);
        let first = with_variables("same value", "same value");
        let named = random(&first, &set("one"));
        let by_value = random(&first, r#"secret(uri: "env://TREENAIL_TEST_ONE")"#);
        assert_ne!(named, by_value);
        assert_eq!(
            by_value,
            random(&first, r#"secret(uri: "env://TREENAIL_TEST_TWO")"#),
            "two names of one value"
        );
        std::fs::write(workdir.path().join("secret"), "same value").expect("written");
        assert_eq!(
            by_value,
            random(&first, r#"secret(uri: "file://secret")"#),
            "another provider of one value"
        );
        let keyed =
            random(&first, &format!(r#"secret(uri: "env://TREENAIL_TEST_ONE", cacheKey: "k-{nonce}")"#));
        assert_ne!(keyed, by_value);
        drop(first);

        let second = with_variables("same value", "another value");
        assert_eq!(named, random(&second, &set("two")), "the name counts, not the value");
        assert_eq!(by_value, random(&second, r#"secret(uri: "env://TREENAIL_TEST_ONE")"#));
        assert_ne!(by_value, random(&second, r#"secret(uri: "env://TREENAIL_TEST_TWO")"#), "another value");
        let key = format!(r#"secret(uri: "env://TREENAIL_TEST_TWO", cacheKey: "k-{nonce}")"#);
        assert_eq!(keyed, random(&second, &key), "the key counts, not the value");

        // The value that is there is the one that is used.
        let values = none().with("secret", "Secret", text(&second, &format!("{}.id", set("two")), &none()));
        let chain = r#"C.withMountedSecret(path: "/s", source: $secret).withExec(args: ["sh", "-c", "tr a-z b-za < /s"]).stdout"#;
        assert_eq!(text(&second, chain, &values), "uxp");
    }

    #[test]
    fn values_are_read_as_they_are() {
        let Some(daemon) = treenail_test_fixtures::daemon() else { return };
        let workdir = tempfile::tempdir().expect("a working directory");
        std::fs::write(workdir.path().join("s"), "from file\n").expect("written");
        let service = Service::start_with(daemon, workdir.path(), |command| {
            command.env("TREENAIL_TEST_ENV", " from env ").env("HOME", workdir.path());
        });
        for (chain, expected) in [
            (r#"secret(uri: "env://TREENAIL_TEST_ENV").plaintext"#, " from env "),
            (r#"secret(uri: "file://s").plaintext"#, "from file\n"),
            (r#"secret(uri: "file://~/s").plaintext"#, "from file\n"),
            (r#"secret(uri: "file://s").uri"#, "file://s"),
            (r#"secret(uri: "file://s").name"#, ""),
            (r#"setSecret(name: "n", plaintext: "p").name"#, "n"),
            (r#"setSecret(name: "n", plaintext: "p").uri"#, ""),
            (r#"setSecret(name: "n", plaintext: "p").plaintext"#, "p"),
        ] {
            assert_eq!(text(&service, chain, &none()), expected, "{chain}");
        }
        // An ID of another session names a secret that this one was never told.
        let id = text(&service, r#"setSecret(name: "elsewhere", plaintext: "p").id"#, &none());
        let other = Service::start(daemon, workdir.path());
        let values = none().with("secret", "Secret", id);
        for chain in [
            "loadSecretFromID(id: $secret).plaintext",
            r#"C.withSecretVariable(name: "T", secret: $secret).withExec(args: ["true"]).sync"#,
        ] {
            let message = error(&other, chain, &values)["message"].to_string();
            assert!(message.contains("not found"), "{chain}: {message}");
        }
        assert_eq!(text(&other, "version", &none()), "v0.19.11");
    }
}
