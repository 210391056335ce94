//! The few HTTP requests that push an image into a registry on this machine.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::image::MANIFEST;

/// Longest answer body that is kept.
const MAX_BODY: u64 = 1 << 20;

/// What the registry said.
pub(crate) struct Answer {
    pub(crate) status: u16,
    location: Option<String>,
    body: String,
}

/// What is sent along.
pub(crate) enum Body<'a> {
    Empty,
    Bytes { media_type: &'a str, bytes: &'a [u8] },
    File(&'a mut File),
}

/// Sends one request on a connection of its own.
pub(crate) fn request(registry: &str, method: &str, path: &str, body: Body<'_>) -> Result<Answer> {
    exchange(registry, method, path, body)
        .with_context(|| format!("registry request failed: {method} {registry}{path}"))
}

fn exchange(registry: &str, method: &str, path: &str, mut body: Body<'_>) -> Result<Answer> {
    let mut stream = TcpStream::connect(registry)?;
    stream.set_read_timeout(Some(Duration::from_secs(120)))?;
    let (length, media_type) = match &mut body {
        Body::Empty => (0, "application/octet-stream"),
        Body::Bytes { media_type, bytes } => (bytes.len() as u64, *media_type),
        Body::File(file) => (file.metadata()?.len(), "application/octet-stream"),
    };
    // A registry hides an OCI manifest from those who do not ask for one by name.
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: {registry}\r\nConnection: close\r\nContent-Length: {length}\r\n\
         Content-Type: {media_type}\r\nAccept: {MANIFEST}, */*\r\n\r\n"
    )?;
    match body {
        Body::Empty => {}
        Body::Bytes { bytes, .. } => stream.write_all(bytes)?,
        Body::File(file) => {
            io::copy(file, &mut stream)?;
        }
    }
    read_answer(BufReader::new(stream))
}

fn read_answer(mut reader: impl BufRead) -> Result<Answer> {
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let status = line
        .split_whitespace()
        .nth(1)
        .and_then(|code| code.parse().ok())
        .with_context(|| format!("not an HTTP answer: `{}`", line.trim_end()))?;
    let mut location = None;
    loop {
        line.clear();
        if reader.read_line(&mut line)? == 0 || line.trim_end().is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("location")
        {
            location = Some(value.trim().to_owned());
        }
    }
    let mut body = Vec::new();
    reader.take(MAX_BODY).read_to_end(&mut body)?;
    Ok(Answer { status, location, body: String::from_utf8_lossy(&body).into_owned() })
}

/// Whether a manifest is there.
pub(crate) fn has_manifest(registry: &str, name: &str, tag: &str) -> Result<bool> {
    Ok(request(registry, "HEAD", &format!("/v2/{name}/manifests/{tag}"), Body::Empty)?.status == 200)
}

/// Uploads one blob unless the repository has it.
pub(crate) fn push_blob(registry: &str, name: &str, digest: &str, body: Body<'_>) -> Result<()> {
    let there = request(registry, "HEAD", &format!("/v2/{name}/blobs/{digest}"), Body::Empty)?;
    if there.status == 200 {
        return Ok(());
    }
    let begun = request(registry, "POST", &format!("/v2/{name}/blobs/uploads/"), Body::Empty)?;
    let location = begun.location.with_context(|| {
        format!("the registry gave no upload location, status {}: {}", begun.status, begun.body)
    })?;
    // Absolute or relative, as the registry likes.
    let path = match location.split_once("://") {
        Some((_, rest)) => rest.find('/').map_or("/", |slash| &rest[slash..]),
        None => &location,
    };
    let separator = if path.contains('?') { '&' } else { '?' };
    let put = request(registry, "PUT", &format!("{path}{separator}digest={digest}"), body)?;
    expect_created(&put, digest)
}

/// Uploads a manifest under a tag.
pub(crate) fn push_manifest(
    registry: &str,
    name: &str,
    tag: &str,
    media_type: &str,
    bytes: &[u8],
) -> Result<()> {
    let path = format!("/v2/{name}/manifests/{tag}");
    let put = request(registry, "PUT", &path, Body::Bytes { media_type, bytes })?;
    expect_created(&put, tag)
}

fn expect_created(answer: &Answer, what: &str) -> Result<()> {
    if answer.status == 201 {
        return Ok(());
    }
    bail!("the registry refused `{what}` with status {}: {}", answer.status, answer.body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read_with_their_location() {
        let text = "HTTP/1.1 202 Accepted\r\nlocation: /v2/x/blobs/uploads/1\r\nX: y\r\n\r\nbody";
        let answer = read_answer(text.as_bytes()).expect("an answer");
        assert_eq!(answer.status, 202);
        assert_eq!(answer.location.as_deref(), Some("/v2/x/blobs/uploads/1"));
        assert_eq!(answer.body, "body");
    }

    #[test]
    fn something_else_is_refused() {
        let error = read_answer(&b"SSH-2.0-x\r\n"[..]).err().expect("refused");
        assert!(error.to_string().contains("SSH-2.0-x"));
    }
}
