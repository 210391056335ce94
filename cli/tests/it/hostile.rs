//! Bad input from every side: each a clear, typed error, and the service alive afterwards.
//!
//! # Source
//! `DESIGN.md` D15, `contract/session.md` 5 and 7, `contract/ids.md` 1 and 4.

mod daemon {
    use std::io::{Read as _, Write as _};
    use std::net::TcpStream;
    use std::os::unix::fs::PermissionsExt as _;
    use std::os::unix::process::CommandExt as _;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use serde_json::{Value, json};

    use crate::notation::{Values, error, shortened, text};
    use crate::service::{Answer, Service};

    fn alive(service: &Service, after: &str) {
        let answer = service.query("{version}");
        assert_eq!(
            (answer.status, answer.json()),
            (200, json!({"data": {"version": "v0.19.11"}})),
            "after {after}"
        );
    }

    /// The first message, if the answer is a well-formed error.
    fn message(answer: &Answer) -> String {
        let json = answer.json();
        let first = &json["errors"][0];
        assert!(json["data"].is_null(), "no partial data: {}", shortened(&answer.body));
        first["message"]
            .as_str()
            .unwrap_or_else(|| panic!("no error: {}", shortened(&answer.body)))
            .to_owned()
    }

    #[test]
    fn documents() {
        let Some(daemon) = treenail_test_fixtures::daemon() else { return };
        let workdir = tempfile::tempdir().expect("a working directory");
        let service = Service::start(daemon, workdir.path());
        let deep = format!("{}id{}", "{container".repeat(100_001), "}".repeat(100_001));
        let nested =
            format!("{{container{{withEntrypoint(args: {}{}){{id}}}}}}", "[".repeat(100), "]".repeat(100));
        let wide = format!("{{{}}}", "version ".repeat(1_000_001));
        // Each fragment asks for the next one twice.
        let mut bomb = "{...F0}".to_owned();
        for at in 0..60 {
            bomb.push_str(&format!(
                "fragment F{at} on Query{{a:container{{id}}...F{next} ...F{next}}}",
                next = at + 1
            ));
        }
        bomb.push_str("fragment F60 on Query{version}");
        let circle = "{...A} fragment A on Query{...B} fragment B on Query{...A}";
        let table: &[(&str, &str, u16, &str)] = &[
            ("nothing", "", 422, "no operation provided"),
            ("open", "{version", 422, ""),
            ("words", "hello there", 422, ""),
            ("zeros", "{\0}", 422, ""),
            ("quote", "{container{withLabel(name: \"", 422, ""),
            ("unknown field", "{nope}", 422, r#"Cannot query field "nope" on type "Query"."#),
            ("unknown argument", "{version(a: 1)}", 422, r#"Unknown argument "a""#),
            ("missing argument", "{container{from{id}}}", 422, "is required"),
            ("wrong type", r#"{container{withExposedPort(port: "many"){id}}}"#, 200, "Int"),
            ("wrong enum", "{container{withExposedPort(port: 1, protocol: ICMP){id}}}", 200, "ICMP"),
            ("number as text", "{container{withLabel(name: 1, value: 2){id}}}", 200, ""),
            ("circle", circle, 422, ""),
            ("deep", &deep, 422, "nested selections"),
            ("nested values", &nested, 422, "nested values"),
            ("wide", &wide, 422, "selections"),
            ("bomb", &bomb, 422, ""),
        ];
        for (name, document, status, part) in table {
            let answer = service.query(document);
            assert_eq!(answer.status, *status, "{name}: {}", shortened(&answer.body));
            let message = message(&answer);
            assert!(message.contains(part) && !message.is_empty(), "{name}: {message}");
            if *status == 422 {
                let code = answer.json()["errors"][0]["extensions"]["code"].to_string();
                assert!(code.contains("GRAPHQL_"), "{name}: {code}");
            }
            alive(&service, name);
        }
    }

    #[test]
    fn ids() {
        let Some(daemon) = treenail_test_fixtures::daemon() else { return };
        let workdir = tempfile::tempdir().expect("a working directory");
        let service = Service::start(daemon, workdir.path());
        let good = text(&service, r#"D.withNewFile(path: "a", contents: "b").id"#, &Values::default());
        let bytes = STANDARD.decode(&good).expect("base64");
        let load = |id: &str| {
            service.post(&json!({"query": "query($i: DirectoryID!){loadDirectoryFromID(id: $i){entries}}", "variables": {"i": id}}))
        };
        let forge = |change: &dyn Fn(&mut Vec<u8>)| {
            let mut bytes = bytes.clone();
            change(&mut bytes);
            STANDARD.encode(bytes)
        };
        let replace = |from: &[u8], to: &[u8]| {
            let mut out = bytes.clone();
            let at = out.windows(from.len()).rposition(|window| window == from).expect("is in the ID");
            out[at..at + from.len()].copy_from_slice(to);
            STANDARD.encode(out)
        };
        let container = text(&service, "container.id", &Values::default());
        let mut wrong = vec![
            ("empty", String::new()),
            ("no base64", "!!!".to_owned()),
            ("cut text", good[..good.len() - 5].to_owned()),
            ("truncated", forge(&|bytes| bytes.truncate(bytes.len() / 2))),
            ("other field", replace(b"withNewFile", b"withOldFile")),
            ("other value", replace(b":\x01b", b":\x01c")),
            ("random", STANDARD.encode([0xff; 300])),
            ("zeros", STANDARD.encode([0; 300])),
            ("another type", container),
        ];
        // A map entry that says it is 2^60 bytes long.
        wrong.push(("long", STANDARD.encode([0x12, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f])));
        for (name, id) in &wrong {
            let answer = load(id);
            assert_eq!(answer.status, 200, "{name}: {}", shortened(&answer.body));
            assert!(!message(&answer).is_empty(), "{name}");
            alive(&service, name);
        }
        let container = &wrong.iter().find(|(name, _)| *name == "another type").expect("is in the list").1;
        assert!(message(&load(container)).contains(r#"expected "Directory" ID, got Container! ID"#));
        // Every cut and every flipped bit is an error or the same value, never the end of the service.
        for at in 0..bytes.len() {
            for id in [forge(&|bytes| bytes.truncate(at)), forge(&|bytes| bytes[at] ^= 1 << (at % 8))] {
                assert_eq!(load(&id).status, 200);
            }
        }
        alive(&service, "all forgeries");
        assert_eq!(load(&good).json()["data"]["loadDirectoryFromID"]["entries"], json!(["a"]));
    }

    #[test]
    fn the_world() {
        let Some(daemon) = treenail_test_fixtures::daemon() else { return };
        let workdir = tempfile::tempdir().expect("a working directory");
        std::fs::write(workdir.path().join("plain"), "x").expect("written");
        let service = Service::start(daemon, workdir.path());
        for (name, chain, part) in [
            (
                "no such image",
                r#"container.from(address: "treenail/no-such-image:1").id"#,
                "treenail/no-such-image:1",
            ),
            ("no such tag", r#"container.from(address: "alpine:no-such-tag").sync"#, "alpine:no-such-tag"),
            (
                "no such digest",
                r#"container.from(address: "alpine@sha256:0000000000000000000000000000000000000000000000000000000000000000").sync"#,
                "sha256:0000",
            ),
            ("bad reference", r#"container.from(address: "UPPER CASE").id"#, "failed to parse image address"),
            ("empty reference", r#"container.from(address: "").id"#, "failed to parse image address"),
            ("no such registry", r#"container.from(address: "127.0.0.1:1/x:1").id"#, "127.0.0.1:1/x:1"),
            (
                "escape",
                r#"D.withNewDirectory(path: "../../x").sync"#,
                "cannot create directory outside parent",
            ),
            (
                "climb",
                r#"D.withNewFile(path: "a/b", contents: "").directory(path: "a").file(path: "../../../../../../etc/passwd").id"#,
                "no such file or directory",
            ),
            (
                "link out",
                r#"D.withSymlink(target: "/etc/passwd", linkName: "l").file(path: "l").contents"#,
                "no such file or directory",
            ),
            (
                "link up",
                r#"D.withSymlink(target: "../../../../../../../etc/passwd", linkName: "l").file(path: "l").contents"#,
                "no such file or directory",
            ),
            (
                "circle of links",
                r#"D.withSymlink(target: "a", linkName: "b").withSymlink(target: "b", linkName: "a").file(path: "a").contents"#,
                "",
            ),
            ("host missing", r#"host.directory(path: "missing").id"#, "no such file or directory"),
            ("host file", r#"host.directory(path: "plain").id"#, "not a directory"),
            ("bad pattern", r#"host.directory(path: ".", exclude: ["[a-"]).entries"#, ""),
            ("bad platform", r#"container(platform: "nope").id"#, "unknown operating system or architecture"),
            (
                "export over file",
                r#"D.withNewFile(path: "a", contents: "").export(path: "plain/x")"#,
                "ot a directory",
            ),
            ("secret not there", r#"secret(uri: "file://missing").plaintext"#, "failed to read secret file"),
            ("later release", r#"C.asService.hostname"#, "not supported"),
        ] {
            let found = error(&service, chain, &Values::default());
            let message = found["message"].as_str().expect("a text");
            assert!(message.contains(part) && !message.is_empty(), "{name}: {message}");
            if name == "later release" {
                assert_eq!(found["extensions"]["code"], "UNSUPPORTED");
                assert!(found["extensions"].get("_type").is_none());
            }
            alive(&service, name);
        }
        // Unknown secrets and files that vanish between two calls.
        std::fs::create_dir(workdir.path().join("brief")).expect("made");
        let id = text(&service, r#"host.directory(path: "brief").id"#, &Values::default());
        std::fs::remove_dir(workdir.path().join("brief")).expect("removed");
        let held = Values::default().with("held", "Directory", id);
        assert_eq!(text(&service, "loadDirectoryFromID(id: $held).name", &held), "/", "what was read stays");
        let again = Service::start(daemon, workdir.path());
        let message = error(&again, "loadDirectoryFromID(id: $held).entries", &held)["message"].to_string();
        assert!(message.contains("no such file or directory"), "{message}");
        alive(&again, "a directory that is gone");
    }

    /// Runs the service as an ordinary user, where this machine lets us.
    #[test]
    fn directories_without_permission() {
        let Some(daemon) = treenail_test_fixtures::daemon() else { return };
        if !rustix::process::getuid().is_root() {
            return;
        }
        let workdir = tempfile::tempdir().expect("a working directory");
        for (path, text) in [("closed/f", "x"), ("open/f", "mine"), ("open/locked", "not mine")] {
            let path = workdir.path().join(path);
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
            std::fs::write(path, text).expect("written");
        }
        for (path, mode) in [("", 0o755), ("closed", 0o700), ("open", 0o755), ("open/locked", 0o600)] {
            std::fs::set_permissions(workdir.path().join(path), std::fs::Permissions::from_mode(mode))
                .expect("set");
        }
        // The group stays: the daemon's socket is open to it.
        let service = Service::start_with(daemon, workdir.path(), |command| {
            command.uid(65_534);
        });
        for chain in [
            r#"host.directory(path: "closed").entries"#,
            r#"host.file(path: "closed/f").contents"#,
            r#"host.directory(path: "open").entries"#,
            r#"host.file(path: "open/locked").contents"#,
            r#"D.withNewFile(path: "x", contents: "").export(path: "closed/new")"#,
            r#"D.withNewFile(path: "x", contents: "").file(path: "x").export(path: "new")"#,
        ] {
            let message = error(&service, chain, &Values::default())["message"].to_string();
            assert!(message.contains("permission denied"), "{chain}: {message}");
            alive(&service, chain);
        }
        assert_eq!(
            text(
                &service,
                r#"host.directory(path: "open", exclude: ["locked"]).file(path: "f").contents"#,
                &Values::default()
            ),
            "mine"
        );
    }

    #[test]
    fn requests() {
        let Some(daemon) = treenail_test_fixtures::daemon() else { return };
        let workdir = tempfile::tempdir().expect("a working directory");
        let service = Service::start(daemon, workdir.path());
        let login = STANDARD.encode(format!("{}:", service.token()));
        let send = |request: &[u8], hang_up: bool| {
            let mut stream = TcpStream::connect(("127.0.0.1", service.port())).expect("the session listens");
            stream.set_read_timeout(Some(std::time::Duration::from_secs(20))).expect("is set");
            // The service may answer and hang up before it has read everything.
            let _ = stream.write_all(request);
            if hang_up {
                let _ = stream.shutdown(std::net::Shutdown::Write);
            }
            let mut answer = Vec::new();
            let _ = stream.read_to_end(&mut answer);
            String::from_utf8_lossy(&answer).into_owned()
        };
        let raw = |request: &[u8]| send(request, false);
        let post = |authorization: &str, kind: &str, body: &str| {
            let length = body.len();
            raw(format!("POST /query HTTP/1.1\r\nHost: x\r\n{authorization}Content-Type: {kind}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}").as_bytes())
        };
        let mine = format!("Authorization: Basic {login}\r\n");
        let version = r#"{"query": "{version}"}"#;
        assert!(post(&mine, "application/json", version).starts_with("HTTP/1.1 200"));
        let swapped = STANDARD.encode(format!(":{}", service.token()));
        for wrong in [
            String::new(),
            "Authorization: Basic\r\n".to_owned(),
            "Authorization: Basic !!!\r\n".to_owned(),
            format!("Authorization: Basic {swapped}\r\n"),
            format!("Authorization: Basic {}\r\n", STANDARD.encode("00000000-0000-4000-8000-000000000000:")),
            format!("Authorization: Bearer {}\r\n", service.token()),
        ] {
            let answer = post(&wrong, "application/json", version);
            assert!(answer.starts_with("HTTP/1.1 401"), "{wrong:?}: {answer}");
            assert!(answer.to_ascii_lowercase().contains("\r\nwww-authenticate: basic"), "{answer}");
            assert!(answer.ends_with("\r\n\r\n"), "no body: {answer}");
        }
        for (name, answer, status) in [
            ("no JSON", post(&mine, "application/json", "{"), "400"),
            ("a list", post(&mine, "application/json", "[]"), "400"),
            ("another content", post(&mine, "text/html", version), "400"),
            ("another path", raw(format!("GET /nope HTTP/1.1\r\nHost: x\r\n{mine}Connection: close\r\n\r\n").as_bytes()), "404"),
            ("a shorter body", send(format!("POST /query HTTP/1.1\r\nHost: x\r\n{mine}Content-Type: application/json\r\nContent-Length: 100\r\nConnection: close\r\n\r\n{{").as_bytes(), true), ""),
            ("a length beyond reason", raw(format!("POST /query HTTP/1.1\r\nHost: x\r\n{mine}Content-Type: application/json\r\nContent-Length: 99999999999999\r\nConnection: close\r\n\r\n").as_bytes()), "413"),
            ("noise", send(&[0xff; 2_000], true), ""),
            ("long head", raw(format!("POST /query HTTP/1.1\r\nX: {}\r\n\r\n", "y".repeat(2 << 20)).as_bytes()), ""),
        ] {
            assert!(answer.is_empty() && status.is_empty() || answer.starts_with(&format!("HTTP/1.1 {status}")), "{name}: {}", shortened(&answer));
            alive(&service, name);
        }
    }

    #[test]
    fn large_texts_pass_in_both_directions() {
        let Some(daemon) = treenail_test_fixtures::daemon() else { return };
        let workdir = tempfile::tempdir().expect("a working directory");
        let service = Service::start(daemon, workdir.path());
        let size = 20 << 20;
        let document = r#"query($c: String!){directory{withNewFile(path: "f", contents: $c){file(path: "f"){size contents}}}}"#;
        let answer = service.post(&json!({"query": document, "variables": {"c": "a\u{1}".repeat(size / 2)}}));
        assert_eq!(answer.status, 200, "{}", shortened(&answer.body));
        let json = answer.json();
        let file = &json["data"]["directory"]["withNewFile"]["file"];
        assert_eq!(file["size"], size, "{}", shortened(&answer.body));
        assert!(file["contents"] == "a\u{1}".repeat(size / 2), "the same text");
        alive(&service, "a large text");
    }

    #[test]
    fn many_requests_at_once() {
        let Some(daemon) = treenail_test_fixtures::daemon() else { return };
        let workdir = tempfile::tempdir().expect("a working directory");
        let service = Service::start(daemon, workdir.path());
        let answered = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for at in 0..100 {
                let (service, answered) = (&service, &answered);
                scope.spawn(move || {
                    let chain = match at % 4 {
                        0 => "{version}".to_owned(),
                        1 => format!("{{directory{{withNewFile(path: \"a{at}\", contents: \"x\"){{entries}}}}}}"),
                        2 => "{nope}".to_owned(),
                        _ => format!("{{container{{from(address: \"alpine:3.20\"){{withExec(args: [\"echo\", \"{}\"]){{stdout}}}}}}}}", at % 8),
                    };
                    let answer = service.query(&chain);
                    let expected = if at % 4 == 2 { 422 } else { 200 };
                    let json = answer.json();
                    if answer.status == expected && (expected == 422 || json.get("errors").is_none_or(Value::is_null)) {
                        answered.fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
        });
        assert_eq!(answered.into_inner(), 100);
        alive(&service, "a hundred requests");
    }
}
