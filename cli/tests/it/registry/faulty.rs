//! Something between a client and a registry that breaks what passes.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The connection ends in the middle of an upload.
    CutUploads,
    /// The connection ends when the name of the image is to be set.
    CutNames,
    /// Uploads are said to be of other bytes.
    OtherDigests,
    /// A layer that is fetched is another one.
    OtherBlobs,
    /// A manifest that is fetched is another one.
    OtherManifests,
}

/// Starts it in front of a registry, and answers its address. It ends with the process.
pub(crate) fn in_front_of(registry: &str, fault: Fault) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    let registry = registry.to_owned();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let registry = registry.clone();
            // Either side may hang up.
            std::thread::spawn(move || drop(pass(stream, &registry, fault)));
        }
    });
    address
}

/// Passes one request on. Each connection has one, because both sides are told to close it.
fn pass(mut client: TcpStream, registry: &str, fault: Fault) -> std::io::Result<()> {
    let mut bytes = Vec::new();
    let mut piece = [0; 1024];
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break end;
        }
        match client.read(&mut piece)? {
            0 => return Ok(()),
            size => bytes.extend_from_slice(&piece[..size]),
        }
    };
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let is = |method: &str, place: &str| {
        head.lines().next().is_some_and(|line| line.starts_with(method) && line.contains(place))
    };
    let upload = (is("PUT", "/blobs/") || is("PATCH", "/blobs/")) && fault == Fault::CutUploads;
    if upload || (is("PUT", "/manifests/") && fault == Fault::CutNames) {
        return client.shutdown(Shutdown::Both);
    }

    let mut server = TcpStream::connect(registry)?;
    for line in head.lines().filter(|line| !line.to_ascii_lowercase().starts_with("connection:")) {
        write!(server, "{line}\r\n")?;
    }
    write!(server, "Connection: close\r\n\r\n")?;
    server.write_all(&bytes[end + 4..])?;
    let (mut from, mut to) = (client.try_clone()?, server.try_clone()?);
    std::thread::spawn(move || drop(std::io::copy(&mut from, &mut to)));
    let mut answer = Vec::new();
    server.read_to_end(&mut answer)?;
    let fetched = (is("GET", "/blobs/") && fault == Fault::OtherBlobs)
        || (is("GET", "/manifests/") && fault == Fault::OtherManifests);
    if fetched && let Some(last) = answer.last_mut() {
        *last ^= 1;
    }
    if is("PUT", "/blobs/") && fault == Fault::OtherDigests {
        let text = String::from_utf8_lossy(&answer).into_owned();
        let at =
            text.find("Docker-Content-Digest: sha256:").map(|at| at + "Docker-Content-Digest: sha256:".len());
        if let Some(at) = at {
            let digit = if answer[at] == b'0' { b'1' } else { b'0' };
            answer[at] = digit;
        }
    }
    client.write_all(&answer)?;
    client.shutdown(Shutdown::Both)
}
