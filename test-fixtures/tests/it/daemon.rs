//! Tests that start or use a stock daemon.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use treenail_test_fixtures::kit::buildkitd::{Daemon, Options};
use treenail_test_fixtures::kit::{Kit, recipe, silent};

/// A build of one file of Dockerfile instructions through the daemon's own front end.
fn build(buildctl: &Path, address: &str, context: &Path, instructions: &str) -> Command {
    fs::write(context.join("Dockerfile"), instructions).expect("a file");
    let mut command = Command::new(buildctl);
    command
        .args(["--addr", address, "build", "--progress=plain", "--frontend=dockerfile.v0"])
        .args(["--local", &format!("context={}", context.display())])
        .args(["--local", &format!("dockerfile={}", context.display())])
        .stdin(Stdio::null());
    command
}

#[track_caller]
fn until(what: &str, ready: impl Fn() -> bool) {
    let start = Instant::now();
    while !ready() {
        assert!(start.elapsed() < Duration::from_secs(60), "did not happen: {what}");
        std::thread::yield_now();
    }
}

/// Whether any process of this machine has `word` among its arguments.
fn runs(word: &str) -> bool {
    let processes = fs::read_dir("/proc").expect("processes are listed");
    processes
        .filter_map(|entry| fs::read(entry.ok()?.path().join("cmdline")).ok())
        .any(|line| line.split(|byte| *byte == 0).any(|argument| argument == word.as_bytes()))
}

#[test]
fn the_userland_has_what_recorded_cases_ask_for() {
    let Some(daemon) = treenail_test_fixtures::daemon() else { return };
    let context = tempfile::tempdir().expect("a folder");
    let checks = "FROM alpine:3.20\n\
        RUN test \"$(whoami)\" = root && test \"$HOME\" = /root && test \"$(pwd)\" = /\n\
        USER daemon\nRUN test \"$(whoami):$(id -u):$(id -g)\" = daemon:2:2\n\
        USER 2:11\nRUN test \"$(whoami):$(id -gn)\" = daemon:floppy\n\
        USER root\n\
        RUN for tool in httpd wget nc ps stat find sort wc tr hostname su env; do which $tool || exit 1; done\n\
        RUN test \"$(stat -c '%a %U' /tmp)\" = '1777 root' && test -z \"$(ls /mnt)\"\n\
        RUN sh sh -c pwd 2>&1 | grep -q \"can't open 'sh': No such file or directory\"\n";
    let output = build(daemon.buildctl(), daemon.address(), context.path(), checks).output().expect("starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn an_image_that_the_registry_has_is_not_made_again() {
    let Some(daemon) = treenail_test_fixtures::daemon() else { return };
    let Some(registry) = daemon.registry() else { return };
    let said = Arc::new(Mutex::new(Vec::new()));
    let lines = said.clone();
    let say = move |line: &str| lines.lock().expect("no panic holds this").push(line.to_owned());
    let kit = Kit::open(Arc::new(say)).expect("a kit");
    // Asking for the daemon has made it.
    recipe::ensure(&kit, registry, "alpine").expect("it is there");
    assert!(said.lock().expect("no panic holds this").is_empty(), "{said:?}");
}

/// Starts an exec that would run for ever, and waits until it runs.
fn start_endless(daemon: &Daemon, kit: &Kit, context: &Path, marker: &str) -> Child {
    let instructions =
        format!("FROM scratch\nCOPY busybox /busybox\nRUN [\"/busybox\", \"sleep\", \"{marker}\"]\n");
    fs::copy("/bin/busybox", context.join("busybox")).expect("the kit has installed busybox");
    let client = build(&kit.buildctl(), &daemon.address(), context, &instructions)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("starts");
    until("the exec runs", || runs(marker));
    client
}

#[test]
fn a_dropped_daemon_leaves_no_process_mount_or_file() {
    if treenail_test_fixtures::daemon().is_none() {
        return;
    }
    let kit = Kit::prepare(silent()).expect("a kit");
    let daemon = Daemon::start(&kit, &Options::default()).expect("a daemon");
    let state = daemon.state().to_path_buf();
    let context = tempfile::tempdir().expect("a folder");
    // No other process of this machine sleeps for exactly this long.
    let marker = format!("7{:06}", std::process::id());
    let mut client = start_endless(&daemon, &kit, context.path(), &marker);

    drop(daemon);

    until("the exec has ended", || !runs(&marker));
    assert!(!client.wait().expect("the client ends").success());
    assert!(!state.exists(), "{}", state.display());
    let mounts = fs::read_to_string("/proc/self/mountinfo").expect("mounts are listed");
    assert!(!mounts.contains(&*state.to_string_lossy()), "{mounts}");
}

#[test]
fn kept_state_serves_the_next_daemon() {
    if treenail_test_fixtures::daemon().is_none() {
        return;
    }
    let kit = Kit::prepare(silent()).expect("a kit");
    let root = tempfile::tempdir().expect("a folder");
    let context = tempfile::tempdir().expect("a folder");
    fs::copy("/bin/busybox", context.path().join("busybox")).expect("the kit has installed busybox");
    let options = Options { root: Some(root.path().join("state")), ..Options::default() };
    let mut logs = Vec::new();
    for _ in 0..2 {
        let daemon = Daemon::start(&kit, &options).expect("a daemon");
        let instructions = "FROM scratch\nCOPY busybox /busybox\nRUN [\"/busybox\", \"true\"]\n";
        let output =
            build(&kit.buildctl(), &daemon.address(), context.path(), instructions).output().expect("starts");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        logs.push(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    assert!(!logs[0].contains("CACHED"), "{}", logs[0]);
    // The copy and the exec.
    assert_eq!(logs[1].matches("CACHED").count(), 2, "{}", logs[1]);
}

#[test]
fn a_daemon_that_cannot_start_says_why() {
    if treenail_test_fixtures::daemon().is_none() {
        return;
    }
    let kit = Kit::prepare(silent()).expect("a kit");
    let options = Options { entitlements: vec!["no.such.entitlement".into()], ..Options::default() };
    let error = Daemon::start(&kit, &options).expect_err("an unknown entitlement is refused");
    assert!(error.to_string().contains("no.such.entitlement"), "{error}");
}
