//! As much of HTTP/1.1 as asking one session over and over needs: one kept connection, no retries.

use std::io::{BufRead, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use base64::Engine as _;
use serde_json::json;

/// No measured request takes so long.
const LIMIT: Duration = Duration::from_secs(300);

/// A connection to a session.
pub(super) struct Client {
    stream: BufReader<TcpStream>,
    login: String,
}

impl Client {
    pub(super) fn connect(port: u16, token: &str) -> Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port)).context("cannot reach the session")?;
        stream.set_read_timeout(Some(LIMIT)).context("cannot limit how long an answer may take")?;
        stream.set_nodelay(true).context("cannot set up the connection")?;
        let login = base64::engine::general_purpose::STANDARD.encode(format!("{token}:"));
        Ok(Self { stream: BufReader::new(stream), login })
    }

    /// Asks a document; gives how long the answer took and its text.
    ///
    /// # Errors
    /// Also when the answer has errors in it.
    pub(super) fn ask(&mut self, document: &str) -> Result<(Duration, String)> {
        let body = json!({"query": document}).to_string();
        let request = format!(
            "POST /query HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Basic {}\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            self.login,
            body.len()
        );
        let start = Instant::now();
        self.stream.get_mut().write_all(request.as_bytes()).context("cannot write to the session")?;
        let (status, answer) = read_answer(&mut self.stream)?;
        let took = start.elapsed();
        let answer = String::from_utf8(answer).context("the answer is not text")?;
        if status != 200 || answer.contains("\"errors\":") {
            let shown: String = answer.chars().take(800).collect();
            bail!("the session answered {status}: {shown}");
        }
        Ok((took, answer))
    }
}

/// Reads a status and the body that follows.
fn read_answer(stream: &mut impl BufRead) -> Result<(u16, Vec<u8>)> {
    let first = read_line(stream)?;
    let status = first
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok())
        .with_context(|| format!("no status line: `{first}`"))?;
    let mut length = None;
    let mut is_chunked = false;
    loop {
        let line = read_line(stream)?;
        let Some((name, value)) = line.split_once(':') else { break };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = Some(value.trim().parse().context("a length is no number")?),
            "transfer-encoding" => is_chunked = value.trim().eq_ignore_ascii_case("chunked"),
            _ => {}
        }
    }
    let mut body = Vec::new();
    if is_chunked {
        loop {
            let size = read_line(stream)?;
            let size = u64::from_str_radix(size.trim(), 16).context("a chunk's size is no number")?;
            read_exactly(stream, size, &mut body)?;
            // Each chunk ends a line, the last one the message.
            read_line(stream)?;
            if size == 0 {
                break;
            }
        }
    } else {
        read_exactly(stream, length.context("the answer does not tell its length")?, &mut body)?;
    }
    Ok((status, body))
}

fn read_line(stream: &mut impl BufRead) -> Result<String> {
    let mut line = String::new();
    stream.read_line(&mut line).context("cannot read from the session")?;
    anyhow::ensure!(line.ends_with('\n'), "the session closed the connection");
    Ok(line.trim_end().to_owned())
}

fn read_exactly(stream: &mut impl BufRead, size: u64, body: &mut Vec<u8>) -> Result<()> {
    let read = stream.take(size).read_to_end(body).context("cannot read from the session")?;
    anyhow::ensure!(read as u64 == size, "the session closed the connection");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read_to_their_end_and_no_further() {
        let text = "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nabc\
                    HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nde\r\n1\r\nf\r\n0\r\n\r\n\
                    HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort";
        let mut stream = BufReader::new(text.as_bytes());
        assert_eq!(read_answer(&mut stream).expect("an answer"), (200, b"abc".to_vec()));
        assert_eq!(read_answer(&mut stream).expect("an answer"), (404, b"def".to_vec()));
        assert!(read_answer(&mut stream).is_err());
    }
}
