//! `cargo xtask daemon`, run as people run it.

use std::io::{BufRead, BufReader, Read};
use std::os::unix::net::UnixStream;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

#[track_caller]
fn until(what: &str, ready: impl Fn() -> bool) {
    let start = Instant::now();
    while !ready() {
        assert!(start.elapsed() < Duration::from_secs(60), "did not happen: {what}");
        std::thread::yield_now();
    }
}

/// Starts the command and gives the path of the socket that it prints, with the pipe that it prints to.
fn start() -> (Child, String, BufReader<ChildStdout>) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_xtask"))
        .arg("daemon")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("starts");
    let mut output = BufReader::new(child.stdout.take().expect("piped"));
    let address = output
        .by_ref()
        .lines()
        .map_while(Result::ok)
        .find_map(|line| line.strip_prefix("export BUILDKIT_HOST=unix://").map(str::to_owned));
    (child, address.expect("the address is printed"), output)
}

fn signal(child: &Child, name: &str) {
    let status = Command::new("sh").args(["-c", &format!("kill -{name} {}", child.id())]).status();
    assert!(status.expect("starts").success());
}

#[test]
fn an_interrupt_or_a_kill_ends_the_daemon_too() {
    if treenail_test_fixtures::daemon().is_none() {
        return;
    }
    for (name, is_orderly) in [("INT", true), ("KILL", false)] {
        let (mut child, socket, _output) = start();
        UnixStream::connect(&socket).expect("the daemon listens");
        signal(&child, name);
        assert_eq!(child.wait().expect("ends").success(), is_orderly);
        until("the daemon's state is gone", || !std::path::Path::new(&socket).exists());
    }
}
