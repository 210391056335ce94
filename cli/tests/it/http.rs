//! Files of a web server on loopback, fetched by a stock daemon.
//!
//! # Source
//! `contract/sources.md` 5.

mod daemon {
    use std::path::Path;

    use serde_json::json;
    use treenail_test_fixtures::{WebRequest, WebResponse, WebServer};

    use crate::notation::{Values, error, text, value};
    use crate::service::{Service, nonce};

    const MODIFIED: &str = "Wed, 21 Oct 2015 07:28:00 GMT";

    fn folder() -> tempfile::TempDir {
        tempfile::tempdir().expect("a folder")
    }

    fn service(workdir: &Path) -> Option<Service> {
        Some(Service::start(treenail_test_fixtures::daemon()?, workdir))
    }

    fn none() -> Values {
        Values::default()
    }

    /// A text no other run has seen, with a date and a tag; others around it.
    fn server(content: String) -> WebServer {
        WebServer::start(move |request: &WebRequest| match request.path.as_str() {
            "/dated.txt" | "/again" => WebResponse::ok(content.as_str()).with("Last-Modified", MODIFIED),
            "/tagged" if request.headers.get("if-none-match").is_some_and(|tag| tag.contains("\"one\"")) => {
                WebResponse::status("304 Not Modified").with("ETag", "\"one\"")
            }
            "/tagged" => WebResponse::ok(content.as_str()).with("ETag", "\"one\""),
            "/" | "/plain" => WebResponse::ok(content.as_str()),
            "/moved" => WebResponse::status("302 Found").with("Location", "/plain"),
            "/guarded"
                if request.headers.get("authorization").is_some_and(|value| value == "Bearer right") =>
            {
                WebResponse::ok("inside")
            }
            "/guarded" => WebResponse::status("401 Unauthorized"),
            "/broken" => WebResponse::status("500 Internal Server Error"),
            "/big" => WebResponse::ok(content.repeat(1 << 19)),
            _ => WebResponse::status("404 Not Found"),
        })
    }

    #[test]
    fn a_file_has_a_name_a_mode_and_the_server_s_time() {
        let workdir = folder();
        let Some(service) = service(workdir.path()) else { return };
        let content = nonce();
        let server = server(content.clone());
        let url = server.url();
        let http = |rest: &str| format!("http(url: \"{url}{rest})");
        let dated = value(
            &service,
            &format!("{}.{{name contents size stat{{permissions}}}}", http("/dated.txt\"")),
            &none(),
        );
        assert_eq!(
            dated,
            json!({"name": "dated.txt", "contents": content, "size": content.len(), "stat": {"permissions": 0o600}})
        );
        let named = http("/dated.txt?x=1\", name: \"run.sh\", permissions: 493");
        let named = value(&service, &format!("{named}.{{name stat{{permissions}}}}"), &none());
        assert_eq!(named, json!({"name": "run.sh", "stat": {"permissions": 0o755}}));
        assert_eq!(text(&service, &format!("{}.name", http("/\"")), &none()), "index");
        assert_eq!(text(&service, &format!("{}.contents", http("/moved\"")), &none()), content);
        assert_eq!(value(&service, &format!("{}.size", http("/big\"")), &none()), json!(content.len() << 19));

        let times = |rest: &str| {
            let id = text(&service, &format!("{}.id", http(rest)), &none());
            let values = none().with("file", "File", id);
            let run = "C.withMountedFile(path: \"/f\", source: $file).withExec(args: [\"stat\", \"-c\", \"%Y %u:%g\", \"/f\"]).stdout";
            text(&service, run, &values)
        };
        assert_eq!(times("/dated.txt\""), "1445412480 0:0\n");
        assert_eq!(times("/plain\""), "0 0:0\n");
    }

    #[test]
    fn one_request_a_session_and_equal_content_is_one_file() {
        let workdir = folder();
        let Some(service) = service(workdir.path()) else { return };
        let content = nonce();
        let server = server(content.clone());
        let url = server.url();
        let plain = format!("http(url: \"{url}/plain\")");
        for _ in 0..3 {
            assert_eq!(text(&service, &format!("{plain}.contents"), &none()), content);
        }
        assert_eq!(server.asked("/plain"), 1);
        let out = workdir.path().join("out");
        text(&service, &format!("{plain}.export(path: \"{}\")", out.display()), &none());
        assert_eq!(std::fs::read_to_string(&out).expect("exported"), content);
        assert_eq!(server.asked("/plain"), 1);

        // Nothing of the address is in what stands on the file.
        let named = |path: &str| format!("http(url: \"{url}{path}\", name: \"f\")");
        let made = |path: &str| {
            let values = none().with("file", "File", text(&service, &format!("{}.id", named(path)), &none()));
            let run = "C.withMountedFile(path: \"/f\", source: $file).withExec(args: [\"sh\", \"-c\", \"cat /f; cat /proc/sys/kernel/random/uuid\"]).stdout";
            text(&service, run, &values)
        };
        assert_eq!(made("/dated.txt"), made("/again"));
        assert_ne!(made("/dated.txt"), made("/plain"), "another time is another file");

        // Another session asks again, and is told that nothing has changed.
        let tagged = format!("http(url: \"{url}/tagged\").contents");
        assert_eq!(text(&service, &tagged, &none()), content);
        let other_dir = folder();
        let other = self::service(other_dir.path()).expect("there is a daemon");
        assert_eq!(text(&other, &tagged, &none()), content);
        let sent = server
            .requests()
            .iter()
            .filter(|request| request.path == "/tagged" && request.method == "GET")
            .count();
        assert_eq!(sent, 1, "the body travelled once");
        assert!(server.asked("/tagged") > 1);
    }

    #[test]
    fn a_header_is_sent_and_stays_secret() {
        let workdir = folder();
        let Some(service) = service(workdir.path()) else { return };
        let server = server(nonce());
        let guarded = format!("http(url: \"{}/guarded\"", server.url());
        let secret = |value: &str| {
            let chain = format!("setSecret(name: \"{}\", plaintext: \"{value}\").id", nonce());
            none().with("secret", "Secret", text(&service, &chain, &none()))
        };
        let chain = format!("{guarded}, authHeader: $secret).contents");
        assert_eq!(text(&service, &chain, &secret("Bearer right")), "inside");
        for (chain, values) in
            [(chain.clone(), secret("Bearer wrong")), (format!("{guarded}).contents"), none())]
        {
            let message = error(&service, &chain, &values)["message"].clone();
            assert_eq!(message, "invalid response status 401 Unauthorized");
        }
    }

    #[test]
    fn what_cannot_be_fetched_says_why() {
        let workdir = folder();
        let Some(service) = service(workdir.path()) else { return };
        let server = server(nonce());
        let url = server.url();
        for (arguments, problem) in [
            (format!("url: \"{url}/missing\""), "invalid response status 404 Not Found"),
            (format!("url: \"{url}/broken\""), "invalid response status 500 Internal Server Error"),
            ("url: \"ftp://x/y\"".to_owned(), "unsupported protocol scheme \"ftp\""),
            ("url: \"nothing\"".to_owned(), "unsupported protocol scheme \"\""),
            ("url: \"http://127.0.0.1:1/x\"".to_owned(), "connection refused"),
            (format!("url: \"{url}/plain\", name: \"../x\""), "invalid file name"),
            (format!("url: \"{url}/plain\", permissions: -1"), "invalid permissions"),
        ] {
            let error = error(&service, &format!("http({arguments}).contents"), &none());
            let message = error["message"].as_str().expect("a message");
            assert!(message.contains(problem), "{arguments}: {message}");
        }
        // A failure is not remembered.
        let before = server.asked("/missing");
        error(&service, &format!("http(url: \"{url}/missing\").size"), &none());
        assert_eq!(server.asked("/missing"), before + 1);
    }
}
