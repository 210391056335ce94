//! Commands on a stock daemon.

mod daemon {
    use std::collections::BTreeSet;
    use std::io::{BufRead as _, BufReader, Read as _};
    use std::process::{Child, Command, Stdio};

    use serde_json::Value;
    use treenail_test_fixtures::TestDaemon;

    use crate::offline::{output, treenail};

    fn on(daemon: &TestDaemon, args: &[&str]) -> Command {
        let mut command = treenail(args);
        command.env("BUILDKIT_HOST", daemon.address());
        command
    }

    fn query(daemon: &TestDaemon, document: &str, more: &[&str]) -> Command {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.keep().join("q.graphql");
        std::fs::write(&path, document).expect("written");
        let path = path.to_str().expect("UTF-8");
        on(daemon, &[&["query", "--doc", path], more].concat())
    }

    /// A text that no other test run has used, so that nothing is cached.
    fn fresh() -> String {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
        format!("{}-{}", now.as_nanos(), std::process::id())
    }

    #[test]
    fn query_prints_data_alone() {
        let Some(daemon) = treenail_test_fixtures::daemon() else { return };
        let document = r#"query($words: String!) {
            container { from(address: "alpine:3.20") { withExec(args: ["echo", $words]) { stdout } } } }"#;
        let command = query(daemon, document, &["--var", "words=hi there", "--progress", "plain"]);
        let (code, stdout, stderr) = output(command);
        assert_eq!(code, 0, "{stderr}");
        assert_eq!(
            stdout,
            "{\n    \"container\": {\n        \"from\": {\n            \"withExec\": {\n                \
             \"stdout\": \"hi there\\n\"\n            }\n        }\n    }\n}\n"
        );
        assert!(stderr.contains(": withExec echo hi there"), "{stderr}");
        let (_, again, stderr) = output(query(daemon, document, &["--var-json", r#"{"words":"hi there"}"#]));
        assert_eq!(again, stdout);
        assert!(stderr.contains("withExec echo hi there CACHED"), "{stderr}");
    }

    #[test]
    fn a_query_that_fails_says_where_and_exits_with_the_command_s_code() {
        let Some(daemon) = treenail_test_fixtures::daemon() else { return };
        let document = r#"{ container { from(address: "alpine:3.20") { withExec(args: ["true"]) {
            withExec(args: ["sh", "-c", "echo to-out; echo to-err >&2; exit 42"]) { withUser(name: "root") { stdout } }
            } } } }"#;
        let (code, stdout, stderr) = output(query(daemon, document, &["-s"]));
        assert_eq!((code, stdout.as_str()), (42, ""), "{stderr}");
        for text in [
            ".from(address: ",
            ".withExec(args: [\"sh\", \"-c\", \"echo to-out; echo to-err >&2; exit 42\"])  ← failed",
            "    to-out\n",
            "    to-err\n",
            "Error: exit code: 42\n",
        ] {
            assert!(stderr.contains(text), "{text}: {stderr}");
        }
        assert!(!stderr.contains("traceparent"), "{stderr}");
    }

    #[test]
    fn bad_documents_exit_1() {
        let Some(daemon) = treenail_test_fixtures::daemon() else { return };
        for (document, text) in [
            ("{ container { nothing } }", "Cannot query field \"nothing\" on type \"Container\""),
            ("{ container {", "Error: "),
            (
                r#"{ host { directory(path: "/nonexistent") { entries } } }"#,
                "/nonexistent: no such file or directory",
            ),
            (r#"{ container { from(address: "alpine:none-such") { id } } }"#, "alpine:none-such"),
        ] {
            let (code, stdout, stderr) = output(query(daemon, document, &["-s"]));
            assert_eq!((code, stdout.as_str()), (1, ""), "{document}: {stderr}");
            assert!(stderr.contains(text), "{document}: {stderr}");
        }
    }

    #[test]
    fn run_gives_the_program_a_session_and_ends_with_its_code() {
        let Some(daemon) = treenail_test_fixtures::daemon() else { return };
        let folder = tempfile::tempdir().expect("a folder");
        let summary = folder.path().join("summary.json");
        let treenail = env!("CARGO_BIN_EXE_treenail");
        let word = fresh();
        let document = format!(
            r#"{{container{{from(address:"alpine:3.20"){{withExec(args:["echo","{word}"]){{stdout}}}}}}}}"#
        );
        // The program is one of ours, too: it joins the session that it is given.
        let script = format!("printf '%s' '{document}' | '{treenail}' query; exit 9");
        let run = || {
            let mut command = on(daemon, &["--progress", "plain", "run", "sh", "-c", &script]);
            command.env("TREENAIL_SUMMARY", &summary);
            let (code, stdout, stderr) = output(command);
            assert_eq!(code, 9, "{stderr}");
            assert!(stdout.contains(&format!("\"stdout\": \"{word}\\n\"")), "{stdout}");
            let json: Value =
                serde_json::from_slice(&std::fs::read(&summary).expect("a summary")).expect("JSON");
            (json, stderr)
        };
        let (first, stderr) = run();
        assert_eq!(first["execs_started_uncached"], 1, "{first}");
        assert!(stderr.contains(" vertices: ") && stderr.contains(&format!("| {word}")), "{stderr}");
        let (second, stderr) = run();
        assert_eq!(second["execs_started_uncached"], 0, "{second}");
        assert!(second["cached"].as_u64() > Some(0), "{second}");
        assert!(stderr.contains(&format!("withExec echo {word} CACHED")), "{stderr}");
    }

    #[test]
    fn a_program_that_cannot_be_started_is_127() {
        let Some(daemon) = treenail_test_fixtures::daemon() else { return };
        let (code, _, stderr) = output(on(daemon, &["-s", "run", "/nonexistent/program"]));
        assert_eq!(code, 127);
        assert!(stderr.contains("cannot start /nonexistent/program"), "{stderr}");
    }

    #[test]
    fn run_passes_signals_on() {
        let Some(daemon) = treenail_test_fixtures::daemon() else { return };
        let script = "trap 'exit 33' TERM; echo ready; while :; do sleep 0.05; done";
        let mut command = on(daemon, &["-s", "run", "sh", "-c", script]);
        let mut child = command.stdout(Stdio::piped()).spawn().expect("the program starts");
        let mut line = String::new();
        let mut stdout = BufReader::new(child.stdout.take().expect("piped"));
        stdout.read_line(&mut line).expect("a line");
        assert_eq!(line, "ready\n");
        terminate(&child);
        assert_eq!(child.wait().expect("ended").code(), Some(33));
    }

    fn terminate(child: &Child) {
        let killed =
            Command::new("kill").args(["-TERM", &child.id().to_string()]).status().expect("kill runs");
        assert!(killed.success());
    }

    /// References of the sessions' builds that the daemon is at now. JSON leaves the type 0, "started", out.
    fn running_builds(daemon: &TestDaemon) -> BTreeSet<String> {
        let output = Command::new(daemon.buildctl())
            .args(["--addr", daemon.address(), "debug", "histories", "--format", "{{json .}}"])
            .output()
            .expect("buildctl runs");
        String::from_utf8_lossy(&output.stdout)
            .lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok())
            .filter(|event| event["type"].as_u64().unwrap_or(0) == 0)
            .filter(|event| {
                let name = &event["record"]["FrontendAttrs"]["build-arg:BUILDKIT_BUILD_NAME"];
                name.as_str().is_some_and(|name| name.starts_with("treenail session"))
            })
            .filter_map(|event| event["record"]["Ref"].as_str().map(str::to_owned))
            .collect()
    }

    /// Does a process run whose command line has this text? The daemon is on this machine.
    fn runs_on_this_machine(text: &str) -> bool {
        let processes = std::fs::read_dir("/proc").expect("/proc").flatten();
        processes
            .filter_map(|process| std::fs::read(process.path().join("cmdline")).ok())
            .any(|line| String::from_utf8_lossy(&line).contains(text))
    }

    #[test]
    fn a_session_ends_on_a_signal_and_leaves_no_job() {
        let Some(daemon) = treenail_test_fixtures::daemon() else { return };
        let mut command =
            on(daemon, &["session", "--label", "dagger.io/sdk.name:test", "--version", "v0.19.11"]);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let mut stdout = BufReader::new(child.stdout.take().expect("piped"));
        let mut line = String::new();
        stdout.read_line(&mut line).expect("a line");
        let parameters: Value = serde_json::from_str(&line).expect("JSON");
        let keys: Vec<&String> = parameters.as_object().expect("an object").keys().collect();
        assert_eq!(keys, ["port", "session_token"]);
        assert!(parameters["port"].as_u64().is_some_and(|port| port > 0));

        // A command that would run for an hour.
        let word = fresh();
        let document = format!(
            r#"{{container{{from(address:"alpine:3.20"){{withExec(args:["sh","-c","echo {word}; sleep 3600"]){{stdout}}}}}}}}"#
        );
        let mut asking = treenail(&["query", "--doc", "/dev/stdin"]);
        asking.env("DAGGER_SESSION_PORT", parameters["port"].to_string());
        asking.env("DAGGER_SESSION_TOKEN", parameters["session_token"].as_str().expect("text"));
        let mut asking = asking
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .expect("starts");
        std::io::Write::write_all(&mut asking.stdin.take().expect("piped"), document.as_bytes())
            .expect("taken");
        let mut stderr = BufReader::new(child.stderr.take().expect("piped"));
        let mut progress = String::new();
        while !progress.contains(&format!("| {word}")) {
            progress.clear();
            assert_ne!(stderr.read_line(&mut progress).expect("progress"), 0, "the session has ended");
        }
        let running = running_builds(daemon);
        assert!(!running.is_empty(), "the session's build is listed");
        assert!(runs_on_this_machine(&format!("echo {word}; sleep")));

        terminate(&child);
        let mut rest = String::new();
        stderr.read_to_string(&mut rest).expect("progress");
        assert_eq!(child.wait().expect("ended").code(), Some(0), "{rest}");
        assert_eq!(asking.wait().expect("ended").code(), Some(1));
        assert!(!runs_on_this_machine(&format!("echo {word}; sleep")), "the command goes on");
        // Other tests' sessions come and go; at least this one has gone.
        assert_ne!(running.difference(&running_builds(daemon)).count(), 0, "the build goes on");
    }

    #[test]
    fn the_end_of_input_ends_a_session() {
        let Some(daemon) = treenail_test_fixtures::daemon() else { return };
        let mut command = on(daemon, &["-s", "session"]);
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the program starts");
        let mut line = String::new();
        let mut stdout = BufReader::new(child.stdout.take().expect("piped"));
        stdout.read_line(&mut line).expect("a line");
        assert!(line.starts_with("{\"port\":"), "{line}");
        drop(child.stdin.take());
        assert_eq!(child.wait().expect("ended").code(), Some(0));
    }

    #[test]
    fn doctor_finds_nothing_missing() {
        let Some(daemon) = treenail_test_fixtures::daemon() else { return };
        let (code, stdout, stderr) = output(on(daemon, &["doctor", "--json"]));
        assert_eq!((code, stderr.as_str()), (0, ""));
        let report: Value = serde_json::from_str(&stdout).expect("JSON");
        assert_eq!(report["address"], daemon.address());
        assert_eq!(report["missing"], serde_json::json!([]));
        assert!(report["workers"][0]["platforms"][0].is_string(), "{report}");
        let (code, text, _) = output(on(daemon, &["doctor"]));
        assert_eq!(code, 0);
        assert!(text.contains("missing    nothing"), "{text}");
    }

    #[test]
    fn listen_serves_at_its_address_with_the_token_of_the_environment() {
        let Some(daemon) = treenail_test_fixtures::daemon() else { return };
        let mut command =
            on(daemon, &["-s", "listen", "--listen", "127.0.0.1:0", "--disable-host-read-write"]);
        command.env("DAGGER_SESSION_TOKEN", "a-token");
        let mut child = command.stderr(Stdio::piped()).spawn().expect("the program starts");
        let mut line = String::new();
        let mut stderr = BufReader::new(child.stderr.take().expect("piped"));
        stderr.read_line(&mut line).expect("a line");
        let port = line
            .strip_prefix("==> server listening on http://127.0.0.1:")
            .and_then(|rest| rest.strip_suffix("/query\n"))
            .unwrap_or_else(|| panic!("{line}"))
            .to_owned();
        let ask = |token: &str, document: &str| {
            let folder = tempfile::tempdir().expect("a folder");
            let path = folder.path().join("q");
            std::fs::write(&path, document).expect("written");
            let mut command = treenail(&["query", "--doc", path.to_str().expect("UTF-8")]);
            command.env("DAGGER_SESSION_PORT", &port).env("DAGGER_SESSION_TOKEN", token);
            output(command)
        };
        let (code, stdout, _) = ask("a-token", "{version}");
        assert_eq!((code, stdout.as_str()), (0, "{\n    \"version\": \"v0.19.11\"\n}\n"));
        let (code, _, stderr) = ask("another", "{version}");
        assert!(code == 1 && stderr.contains("401"), "{stderr}");
        let (code, _, stderr) = ask("a-token", r#"{host{directory(path:"/"){entries}}}"#);
        assert!(code == 1 && stderr.contains("--disable-host-read-write"), "{stderr}");
        terminate(&child);
        assert_eq!(child.wait().expect("ended").code(), Some(0));
    }
}
