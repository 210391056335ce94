//! A web server for tests: one request a connection, answered by a function, and remembered.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// Most bytes of a request's body.
const LIMIT: u64 = 64 << 20;

/// What was asked.
#[derive(Clone, Debug, Default)]
pub struct WebRequest {
    /// `GET`, `HEAD`, `POST`.
    pub method: String,
    /// Path without query.
    pub path: String,
    /// What follows the `?`.
    pub query: String,
    /// Names in lower case.
    pub headers: BTreeMap<String, String>,
    /// The body.
    pub body: Vec<u8>,
}

/// What is answered.
#[derive(Clone, Debug, Default)]
pub struct WebResponse {
    /// `200 OK`
    pub status: String,
    /// Names and values, in order.
    pub headers: Vec<(String, String)>,
    /// The body; its length is told.
    pub body: Vec<u8>,
}

impl WebResponse {
    /// A body with status 200.
    pub fn ok(body: impl Into<Vec<u8>>) -> Self {
        Self { status: "200 OK".to_owned(), headers: Vec::new(), body: body.into() }
    }

    /// A status without body.
    #[must_use]
    pub fn status(status: &str) -> Self {
        Self { status: status.to_owned(), ..Self::default() }
    }

    /// The same with one more header.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }
}

/// Answers requests.
type Handler = dyn Fn(&WebRequest) -> WebResponse + Send + Sync;

/// A server on loopback. It ends with the test's process.
pub struct WebServer {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<WebRequest>>>,
}

impl WebServer {
    /// Listens on a free port.
    ///
    /// # Panics
    /// There is none.
    pub fn start(handler: impl Fn(&WebRequest) -> WebResponse + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("a bound listener has an address");
        let requests = Arc::new(Mutex::new(Vec::new()));
        let handler: Arc<Handler> = Arc::new(handler);
        let seen = requests.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (handler, seen) = (handler.clone(), seen.clone());
                // A peer that hangs up early has nobody left to tell.
                thread::spawn(move || drop(answer(stream, &*handler, &seen)));
            }
        });
        Self { address, requests }
    }

    /// `http://127.0.0.1:PORT`
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Every request so far, in the order of arrival.
    ///
    /// # Panics
    /// A handler has panicked.
    #[must_use]
    pub fn requests(&self) -> Vec<WebRequest> {
        self.requests.lock().expect("no handler panics").clone()
    }

    /// How many requests there were so far for a path.
    #[must_use]
    pub fn asked(&self, path: &str) -> usize {
        self.requests().iter().filter(|request| request.path == path).count()
    }
}

fn answer(stream: TcpStream, handler: &Handler, seen: &Mutex<Vec<WebRequest>>) -> io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let request = read(&mut reader, &stream)?;
    seen.lock().expect("no handler panics").push(request.clone());
    let response = handler(&request);
    let mut head = format!("HTTP/1.1 {}\r\nConnection: close\r\n", response.status);
    for (name, value) in &response.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str(&format!("Content-Length: {}\r\n\r\n", response.body.len()));
    let mut stream = stream;
    stream.write_all(head.as_bytes())?;
    if request.method != "HEAD" {
        stream.write_all(&response.body)?;
    }
    stream.flush()
}

fn read(reader: &mut BufReader<TcpStream>, mut stream: &TcpStream) -> io::Result<WebRequest> {
    let bad = |what: &'static str| io::Error::new(io::ErrorKind::InvalidData, what);
    let line = read_line(reader)?;
    let mut words = line.split(' ');
    let (method, target) = (words.next().unwrap_or_default(), words.next().ok_or_else(|| bad("no path"))?);
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut request = WebRequest {
        method: method.to_owned(),
        path: path.to_owned(),
        query: query.to_owned(),
        ..WebRequest::default()
    };
    loop {
        let line = read_line(reader)?;
        let Some((name, value)) = line.split_once(':') else { break };
        request.headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let header = |name: &str| request.headers.get(name).map(String::as_str);
    if header("expect").is_some() {
        stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
    }
    let mut body = Vec::new();
    if header("transfer-encoding") == Some("chunked") {
        loop {
            let size =
                u64::from_str_radix(read_line(reader)?.trim(), 16).map_err(|_| bad("no chunk size"))?;
            if size + body.len() as u64 > LIMIT {
                return Err(bad("too much"));
            }
            reader.take(size).read_to_end(&mut body)?;
            read_line(reader)?;
            if size == 0 {
                break;
            }
        }
    } else if let Some(size) = header("content-length").and_then(|size| size.parse().ok()) {
        reader.take(LIMIT.min(size)).read_to_end(&mut body)?;
    }
    request.body = body;
    Ok(request)
}

fn read_line(reader: &mut BufReader<TcpStream>) -> io::Result<String> {
    let mut line = String::new();
    reader.take(64 << 10).read_line(&mut line)?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}
