//! The listener, spoken to over real sockets.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use base64::Engine as _;
use futures::future::BoxFuture;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, Semaphore};
use treenail_graphql::error::ErrorEntry;
use treenail_graphql::http::{
    BODY_LIMIT, Executor, RequestContext, ResponseBody, ServerHandle, Token, Unavailable, serve,
    serve_connection,
};
use treenail_graphql::prepare::Prepared;
use treenail_graphql::sdl::SchemaModel;

const TOKEN: &str = "0f7e-11";

/// Answers by the first field: `version` echoes the trace, others do what tests need.
struct Fake {
    /// One permit for each `defaultPlatform` that is being executed.
    started: Arc<Notify>,
    dropped: Arc<Notify>,
    release: Semaphore,
    shut_down: AtomicUsize,
    unavailable: Option<Unavailable>,
}

impl Default for Fake {
    fn default() -> Self {
        Self {
            started: Arc::default(),
            dropped: Arc::default(),
            release: Semaphore::new(0),
            shut_down: AtomicUsize::new(0),
            unavailable: None,
        }
    }
}

struct OnDrop(Arc<Notify>);

impl Drop for OnDrop {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

impl Executor for Fake {
    fn schema(&self) -> Result<Arc<SchemaModel>, Unavailable> {
        self.unavailable.clone().map_or_else(|| Ok(SchemaModel::core()), Err)
    }

    fn execute(&self, request: Prepared, context: RequestContext) -> BoxFuture<'_, ResponseBody> {
        Box::pin(async move {
            let field = request.fields(request.root()).next().expect("one field");
            match field.name() {
                "version" => ResponseBody::from_json(
                    format!("{{\"data\":{:?}}}", context.traceparent.unwrap_or_default()).into_bytes(),
                ),
                "engine" => panic!("a bug"),
                "defaultPlatform" => {
                    let _dropped = OnDrop(Arc::clone(&self.dropped));
                    self.started.notify_one();
                    let _permit = self.release.acquire().await.expect("open");
                    ResponseBody::from_json(b"{\"data\":1}".to_vec())
                }
                _ => ResponseBody::errors(&[ErrorEntry::new("no")]),
            }
        })
    }

    fn shutdown(&self) -> BoxFuture<'_, ()> {
        self.shut_down.fetch_add(1, Ordering::SeqCst);
        Box::pin(std::future::ready(()))
    }
}

async fn start(fake: Fake) -> (u16, ServerHandle, Arc<Fake>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
    let port = listener.local_addr().expect("bound").port();
    let fake = Arc::new(fake);
    (port, serve(listener, Token::new(TOKEN), Arc::<Fake>::clone(&fake)), fake)
}

fn basic(user: &str) -> String {
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(format!("{user}:")))
}

fn request(method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> String {
    let mut text = format!(
        "{method} {path} HTTP/1.1\r\nHost: dagger\r\nConnection: close\r\nContent-Length: {}\r\n",
        body.len()
    );
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text + "\r\n" + body
}

fn post(query: &str, headers: &[(&str, &str)]) -> String {
    let authorization = basic(TOKEN);
    let mut all = vec![("Authorization", &*authorization), ("Content-Type", "application/json")];
    all.extend(headers);
    request("POST", "/query", &all, &serde_json::json!({"query": query}).to_string())
}

#[derive(Debug)]
struct Answer {
    status: u16,
    head: String,
    body: String,
}

async fn ask(port: u16, request: &str) -> Answer {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.expect("connects");
    stream.write_all(request.as_bytes()).await.expect("sends");
    read(&mut stream).await
}

async fn read(stream: &mut (impl tokio::io::AsyncRead + Unpin)) -> Answer {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await.expect("reads");
    let text = String::from_utf8(bytes).expect("UTF-8");
    let (head, body) = text.split_once("\r\n\r\n").expect("a head");
    let status = head.split(' ').nth(1).expect("a status").parse().expect("a number");
    Answer { status, head: head.to_ascii_lowercase(), body: body.to_owned() }
}

#[tokio::test]
async fn statuses_are_those_of_0_19() {
    let (port, server, fake) = start(Fake::default()).await;
    let (token, json) = (basic(TOKEN), "application/json");
    let auth = ("Authorization", &*token);
    let both = [auth, ("Content-Type", json)];
    for (request, status, body) in [
        (post("{version}", &[]), 200, "{\"data\":\"\"}"),
        (post("{host{id}}", &[]), 200, "{\"errors\":[{\"message\":\"no\"}],\"data\":null}"),
        (post("{version", &[]), 422, "GRAPHQL_PARSE_FAILED"),
        (post("{nope}", &[]), 422, "GRAPHQL_VALIDATION_FAILED"),
        (post("", &[]), 422, "no operation provided"),
        (
            post("{nope}", &[("Accept", "application/graphql-response+json")]),
            400,
            "GRAPHQL_VALIDATION_FAILED",
        ),
        (post("{nope}", &[("Accept", "text/html")]), 400, "GRAPHQL_VALIDATION_FAILED"),
        (post("{container{withEntrypoint(args:1){id}}}", &[]), 200, "expected array, got int64"),
        (request("POST", "/query", &both, "{"), 400, "\"errors\""),
        (request("POST", "/query", &both, ""), 400, "\"errors\""),
        (
            request(
                "POST",
                "/query",
                &[auth, ("Content-Type", "application/json; charset=utf-8")],
                "{\"query\":\"{version}\"}",
            ),
            200,
            "data",
        ),
        (
            request("POST", "/query", &[auth, ("Content-Type", "text/plain")], "{}"),
            400,
            "transport not supported",
        ),
        (request("POST", "/query", &[auth], "{}"), 400, "transport not supported"),
        (request("PUT", "/query", &both, "{}"), 400, "transport not supported"),
        (request("GET", "/query?query={version}", &[auth], ""), 422, "no operation provided"),
        (request("HEAD", "/query", &[auth], ""), 405, ""),
        (request("OPTIONS", "/query", &[auth], ""), 200, ""),
        (request("POST", "/init", &[auth], ""), 204, ""),
        (request("GET", "/init", &[auth], ""), 204, ""),
        (request("GET", "/shutdown", &[auth], ""), 404, ""),
        (request("POST", "/shutdown", &[auth], ""), 200, ""),
        (request("GET", "/", &[auth], ""), 404, ""),
        (request("POST", "/query/", &both, "{}"), 404, ""),
        (request("POST", "/query", &[("Content-Type", json)], "{}"), 401, ""),
        (request("GET", "/nowhere", &[], ""), 401, ""),
    ] {
        let answer = ask(port, &request).await;
        assert_eq!(answer.status, status, "{request}\n{answer:?}");
        assert!(
            answer.body.contains(body) && answer.body.is_empty() == body.is_empty(),
            "{request}\n{answer:?}"
        );
    }
    assert_eq!(fake.shut_down.load(Ordering::SeqCst), 1);
    server.shutdown().await;
}

#[tokio::test]
async fn answers_carry_their_headers() {
    let (port, _server, _) = start(Fake::default()).await;
    let token = basic(TOKEN);
    let auth = ("Authorization", &*token);
    for (request, header) in [
        (post("{version}", &[]), "content-type: application/json"),
        (post("{version}", &[("Accept", "*/*")]), "content-type: application/json"),
        (post("{version}", &[("Accept", "text/html")]), "content-type: application/graphql-response+json"),
        (request("POST", "/query", &[auth], "{}"), "content-type: text/plain"),
        (request("OPTIONS", "/query", &[auth], ""), "allow: options, get, post"),
        (request("GET", "/query", &[], ""), "www-authenticate: basic "),
    ] {
        let answer = ask(port, &request).await;
        assert!(answer.head.contains(header), "{request}\n{answer:?}");
    }
    let traced = ask(port, &post("{version}", &[("Traceparent", "00-aa-bb-01")])).await;
    assert_eq!(traced.body, "{\"data\":\"00-aa-bb-01\"}");
}

#[tokio::test]
async fn only_the_token_opens() {
    let (port, _server, _) = start(Fake::default()).await;
    let standard = |text: &str| format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(text));
    for (authorization, status) in [
        (basic(TOKEN), 404),
        (standard(&format!("{TOKEN}:any password:x")), 404),
        (
            format!("bAsIc {}", base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(format!("{TOKEN}:"))),
            404,
        ),
        (basic(""), 401),
        (basic("0f7e-12"), 401),
        (basic("0f7e-1"), 401),
        (basic("0f7e-111"), 401),
        (standard(TOKEN), 401),
        (standard(&format!(":{TOKEN}")), 401),
        (format!("Bearer {TOKEN}"), 401),
        ("Basic".to_owned(), 401),
        ("Basic !!!".to_owned(), 401),
    ] {
        let answer = ask(port, &request("GET", "/", &[("Authorization", &authorization)], "")).await;
        assert_eq!(answer.status, status, "{authorization}");
    }
    assert_eq!(format!("{:?}", Token::new(TOKEN)), "Token(…)");
}

#[tokio::test]
async fn a_panic_is_one_answer() {
    let (port, _server, _) = start(Fake::default()).await;
    let answer = ask(port, &post("{engine{id}}", &[])).await;
    assert_eq!(answer.status, 500);
    assert!(answer.body.contains("panicked") && answer.head.contains("text/plain"), "{answer:?}");
    assert_eq!(ask(port, &post("{version}", &[])).await.status, 200);
}

#[tokio::test]
async fn a_service_that_is_not_there_says_so() {
    for (unavailable, status) in
        [(Unavailable::Setup("no schema".into()), 500), (Unavailable::Backend("no daemon".into()), 502)]
    {
        let message = unavailable.to_string();
        let (port, _server, _) = start(Fake { unavailable: Some(unavailable), ..Fake::default() }).await;
        let answer = ask(port, &post("{version}", &[])).await;
        assert_eq!(answer.status, status);
        assert!(answer.body.contains(&message) && answer.head.contains("text/plain"), "{answer:?}");
    }
}

#[tokio::test]
async fn a_client_that_goes_away_cancels_its_request() {
    let (port, _server, fake) = start(Fake::default()).await;
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.expect("connects");
    stream.write_all(post("{defaultPlatform}", &[]).as_bytes()).await.expect("sends");
    fake.started.notified().await;
    drop(stream);
    fake.dropped.notified().await;
    assert_eq!(fake.release.available_permits(), 0, "nothing was released, so it was dropped while waiting");
}

#[tokio::test]
async fn requests_run_at_once_and_finish_before_the_end() {
    let (port, server, fake) = start(Fake::default()).await;
    let waiting = tokio::spawn(async move { ask(port, &post("{defaultPlatform}", &[])).await });
    fake.started.notified().await;
    assert_eq!(ask(port, &post("{version}", &[])).await.status, 200);
    let shutdown = tokio::spawn(server.shutdown());
    fake.release.add_permits(1);
    assert_eq!(waiting.await.expect("answered").body, "{\"data\":1}");
    shutdown.await.expect("ended");
    assert!(TcpStream::connect(("127.0.0.1", port)).await.is_err());
}

#[tokio::test]
async fn an_end_that_is_not_waited_for_drops_requests() {
    let (port, server, fake) = start(Fake::default()).await;
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.expect("connects");
    stream.write_all(post("{defaultPlatform}", &[]).as_bytes()).await.expect("sends");
    fake.started.notified().await;
    drop(server);
    fake.dropped.notified().await;
}

#[tokio::test]
async fn connections_may_come_another_way() {
    let (mut client, server) = tokio::io::duplex(4096);
    let serving = tokio::spawn(serve_connection(server, Token::new(TOKEN), Arc::new(Fake::default())));
    client.write_all(post("{version}", &[]).as_bytes()).await.expect("sends");
    assert_eq!(read(&mut client).await.status, 200);
    serving.await.expect("ended");
}

/// 128 MiB of file contents in one string, were every byte escaped twice, is the case to hold.
#[tokio::test]
async fn large_bodies_pass() {
    const { assert!(BODY_LIMIT >= 4 * (128 << 20)) };
    let (port, _server, _) = start(Fake::default()).await;
    let contents = "line\\n".repeat(1 << 20);
    let answer = ask(port, &post(&format!("{{version}} # {contents}"), &[])).await;
    assert_eq!(answer.status, 200);
    let answer = ask(port, &post(&format!("{{host(x: \"{contents}\"){{id}}}}"), &[])).await;
    assert_eq!(answer.status, 422);
    assert!(answer.body.len() < 1000, "an error does not repeat the document");
}

/// Raw bytes that are no request must not end the listener.
#[tokio::test]
async fn noise_is_survived() {
    let (port, _server, _) = start(Fake::default()).await;
    for noise in [
        &b"\0\0\0\0"[..],
        b"GET",
        b"POST /query HTTP/9.9\r\n\r\n",
        b"POST /query HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n",
        b"\r\n\r\n",
    ] {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await.expect("connects");
        stream.write_all(noise).await.expect("sends");
        stream.shutdown().await.expect("half closed");
        let mut rest = Vec::new();
        let _reset = stream.read_to_end(&mut rest).await.is_err();
    }
    assert_eq!(ask(port, &post("{version}", &[])).await.status, 200);
}

/// A nested command line speaks HTTP/2 without TLS and without asking first.
#[tokio::test]
async fn http_2_is_spoken_without_upgrade() {
    use http_body_util::{BodyExt as _, Full};
    use hyper_util::rt::{TokioExecutor, TokioIo};

    let (port, _server, _) = start(Fake::default()).await;
    let stream = TcpStream::connect(("127.0.0.1", port)).await.expect("connects");
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .expect("speaks HTTP/2");
    let driver = tokio::spawn(connection);
    let request = http::Request::post(format!("http://127.0.0.1:{port}/query"))
        .header("authorization", basic(TOKEN))
        .header("content-type", "application/json")
        .body(Full::new(bytes::Bytes::from_static(b"{\"query\":\"{version}\"}")))
        .expect("a request");
    let answer = sender.send_request(request).await.expect("answered");
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.into_body().collect().await.expect("a body").to_bytes(), "{\"data\":\"\"}");
    drop(sender);
    driver.await.expect("ended").expect("clean");
}
