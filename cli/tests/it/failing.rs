//! A command that fails below other calls: what the API answers, and what a person sees.
//!
//! # Source
//! `contract/session.md` 8 and `contract/core.md` 9.

mod daemon {
    use std::process::{Command, Stdio};

    use serde_json::json;

    use crate::notation::{Values, ask, error, selection};
    use crate::service::{Service, nonce};

    /// Three lazy calls stand between the failure and the question.
    const BELOW: &str = r#"withExec(args: ["true"]).withNewFile(path: "/a", contents: "").withExec(args: ["echo", "never"]).stdout"#;

    #[test]
    fn the_answer_names_command_code_outputs_and_path() {
        let Some(daemon) = treenail_test_fixtures::daemon() else { return };
        let workdir = tempfile::tempdir().expect("a working directory");
        let service = Service::start(daemon, workdir.path());
        let chain = format!(r#"C.withExec(args: ["sh", "-c", "echo out; echo err >&2; exit 42"]).{BELOW}"#);
        let answer = ask(&service, &chain, &Values::default());
        assert_eq!(answer.status, 200);
        let json = answer.json();
        assert!(json["data"].is_null(), "{json}");
        assert_eq!(json["errors"].as_array().expect("errors").len(), 1);
        let error = &json["errors"][0];
        assert!(error.get("locations").is_none());
        assert!(error["message"].as_str().expect("a text").starts_with("exit code: 42"), "{error}");
        assert_eq!(
            error["path"],
            json!(["container", "from", "withExec", "withExec", "withNewFile", "withExec", "stdout"])
        );
        assert_eq!(
            error["extensions"],
            json!({
                "_type": "EXEC_ERROR",
                "cmd": ["sh", "-c", "echo out; echo err >&2; exit 42"],
                "exitCode": 42,
                "stdout": "out",
                "stderr": "err",
            })
        );
        let aliases = service
            .query(&format!("{{a: container{{id}} b: {} c: {} }}", inner(&chain), inner(&chain)))
            .json();
        assert_eq!(
            aliases["errors"].as_array().map(Vec::len),
            Some(2),
            "one for each failing field of the root: {aliases}"
        );
    }

    /// A selection without its outer braces, to be given an alias.
    fn inner(chain: &str) -> String {
        let document = selection(chain);
        document[1..document.len() - 1].to_owned()
    }

    #[test]
    fn the_end_of_long_outputs_is_kept() {
        let Some(daemon) = treenail_test_fixtures::daemon() else { return };
        let workdir = tempfile::tempdir().expect("a working directory");
        let service = Service::start(daemon, workdir.path());
        for (bytes, omitted) in [
            (102_399_usize, None),
            (102_450, Some("[omitting 50 bytes]...")),
            (31_457_280, Some("[omitting 31354880 bytes]...")),
        ] {
            let chain = format!(
                r#"C.withExec(args: ["sh", "-c", "head -c {start} /dev/zero | tr '\\0' x; echo the end >&2; printf last.; exit 1"]).sync"#,
                start = bytes - 5
            );
            let extensions = error(&service, &chain, &Values::default())["extensions"].clone();
            let stdout = extensions["stdout"].as_str().expect("a text");
            assert_eq!(stdout.len(), bytes.min(102_400));
            assert!(stdout.ends_with("xlast."), "{}", &stdout[stdout.len() - 20..]);
            assert_eq!(extensions["stderr"], "the end");
            match omitted {
                Some(mark) => assert!(stdout.starts_with(&format!("{mark}xxx")), "{}", &stdout[..60]),
                None => assert!(stdout.starts_with("xxx")),
            }
            assert!(service.query("{version}").body.contains("v0.19.11"));
        }
    }

    #[test]
    fn a_person_sees_the_chain_and_the_end_of_the_output() {
        let Some(daemon) = treenail_test_fixtures::daemon() else { return };
        let workdir = tempfile::tempdir().expect("a working directory");
        let nonce = nonce();
        let chain = format!(
            r#"C.withExec(args: ["sh", "-c", "echo {nonce}; seq 1 100; echo wrong >&2; exit 42"]).{BELOW}"#
        );
        let document = workdir.path().join("document");
        std::fs::write(&document, selection(&chain)).expect("written");
        for mode in ["plain", "rawjson", "quiet"] {
            let output = Command::new(env!("CARGO_BIN_EXE_treenail"))
                .args(["--addr", daemon.address(), "--progress", mode, "query", "--doc"])
                .arg(&document)
                .stdin(Stdio::null())
                .output()
                .expect("the program starts");
            assert_eq!(output.status.code(), Some(42), "{mode}: the command's own code");
            assert!(output.stdout.is_empty(), "{mode}: nothing but data on standard output");
            let shown = String::from_utf8_lossy(&output.stderr);
            assert!(shown.contains("exit code: 42"), "{mode}: {shown}");
            if mode != "plain" {
                continue;
            }
            for part in [
                "withExec(args: [\"sh\", \"-c\", \"echo",
                "← failed",
                ".withNewFile(path: \"/a\", contents: \"\")",
                ".withExec(args: [\"echo\", \"never\"])",
                ".stdout",
                "\n    100\n",
                "stderr\n    wrong\n",
            ] {
                assert!(shown.contains(part), "{mode} shows {part:?}:\n{shown}");
            }
            let tail = shown.split("← failed").nth(1).expect("was found above");
            assert!(!tail.contains(&nonce), "only the end of the output:\n{tail}");
        }
    }
}
