//! What the program does without any daemon.

use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

/// The program, with nothing in its environment that names a daemon, and a home without buildx.
pub(crate) fn treenail(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_treenail"));
    command.args(args).stdin(Stdio::null());
    for name in [
        "BUILDKIT_HOST",
        "_EXPERIMENTAL_DAGGER_RUNNER_HOST",
        "BUILDX_BUILDER",
        "BUILDX_CONFIG",
        "DOCKER_CONFIG",
        "XDG_RUNTIME_DIR",
        "DAGGER_SESSION_PORT",
        "DAGGER_SESSION_TOKEN",
        "DAGGER_PROGRESS",
        "CLAUDECODE",
        "TREENAIL_SUMMARY",
    ] {
        command.env_remove(name);
    }
    command.env("HOME", "/nonexistent");
    command
}

pub(crate) fn output(mut command: Command) -> (i32, String, String) {
    let Output { status, stdout, stderr } = command.output().expect("the program starts");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    (status.code().expect("it exits by itself"), text(stdout), text(stderr))
}

#[test]
fn version_and_help_need_nothing() {
    let (code, stdout, stderr) = output(treenail(&["--silent", "version"]));
    assert_eq!((code, stderr.as_str()), (0, ""));
    assert!(stdout.starts_with("treenail v") && stdout.contains("API v0.19.11"), "{stdout}");
    let (code, stdout, _) = output(treenail(&["--help"]));
    assert_eq!(code, 0);
    for word in ["run", "query", "listen", "doctor", "--addr", "--progress"] {
        assert!(stdout.contains(word), "{word}: {stdout}");
    }
    for hidden in ["--dot-output", "--summary-file", "--scale-out"] {
        assert!(!stdout.contains(hidden), "{hidden}: {stdout}");
    }
}

#[test]
fn called_dagger_the_second_field_is_the_version() {
    let folder = tempfile::tempdir().expect("a folder");
    let link = folder.path().join("dagger");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_treenail"), &link).expect("linked");
    let mut dagger = Command::new(&link);
    dagger.arg("version").env("BUILDKIT_HOST", "unix:///some/socket");
    let (code, stdout, _) = output(dagger);
    assert_eq!(code, 0);
    assert_eq!(stdout, "dagger v0.19.11 (unix:///some/socket) linux/amd64\n");
}

#[test]
fn wrong_command_lines_show_usage_and_exit_1() {
    for args in
        [&["session", "--project", "/x"][..], &["session", "--nonsense"], &["nonsense"], &["run"], &[]]
    {
        let (code, stdout, stderr) = output(treenail(args));
        assert_eq!((code, stdout.as_str()), (1, ""), "{args:?}");
        assert!(stderr.contains("Usage:"), "{args:?}: {stderr}");
    }
}

#[test]
fn no_daemon_shows_three_ways_out_and_nothing_on_stdout() {
    if std::path::Path::new("/run/buildkit/buildkitd.sock").exists() {
        // This machine has one.
        return;
    }
    for args in [&["query", "--doc", "/dev/null"][..], &["run", "true"], &["listen"], &["doctor"]] {
        let (code, stdout, stderr) = output(treenail(args));
        assert_eq!((code, stdout.as_str()), (1, ""), "{args:?}: {stderr}");
        assert!(stderr.starts_with("Error: no buildkitd found\n"), "{stderr}");
        for way in ["--addr", "sudo buildkitd", "docker run"] {
            assert!(stderr.contains(way), "{args:?}: {stderr}");
        }
    }
}

#[test]
fn a_daemon_that_does_not_answer_is_named() {
    let address = "unix:///nonexistent/buildkitd.sock";
    let (code, stdout, stderr) = output(treenail(&["--addr", address, "query", "--doc", "/dev/null"]));
    assert_eq!((code, stdout.as_str()), (1, ""));
    assert!(stderr.contains(address) && stderr.contains("--addr"), "{stderr}");
    assert!(!stderr.contains("Usage"), "{stderr}");
}

#[test]
fn a_closed_input_ends_a_session_at_once() {
    // A daemon that takes the connection and never speaks.
    let folder = tempfile::tempdir().expect("a folder");
    let socket = folder.path().join("s");
    let _silent = std::os::unix::net::UnixListener::bind(&socket).expect("bound");
    let address = format!("unix://{}", socket.display());
    let begun = Instant::now();
    let (code, stdout, stderr) = output(treenail(&["--addr", &address, "session"]));
    assert_eq!((code, stdout.as_str(), stderr.as_str()), (0, "", ""));
    assert!(begun.elapsed() < Duration::from_secs(8), "it has waited for the daemon");
}

#[test]
fn what_is_not_built_is_refused_by_name() {
    let refused = |command: Command, what: &str| {
        let (code, stdout, stderr) = output(command);
        assert_eq!((code, stdout.as_str()), (1, ""), "{what}");
        assert!(stderr.contains(what) && stderr.contains("not in this release"), "{what}: {stderr}");
    };
    refused(treenail(&["--cache-from", "type=gha", "run", "true"]), "--cache-from");
    refused(treenail(&["run", "--cache-to", "type=inline", "true"]), "--cache-to");
    for name in ["_EXPERIMENTAL_DAGGER_CACHE_CONFIG", "_EXPERIMENTAL_DAGGER_CACHE_EXPORT_CONFIG"] {
        let mut command = treenail(&["query", "--doc", "/dev/null"]);
        command.env(name, "type=gha");
        refused(command, name);
        let mut command = treenail(&["--addr", "unix:///nonexistent", "query", "--doc", "/dev/null"]);
        command.env(name, "");
        assert!(!output(command).2.contains(name), "empty is absent");
    }
    let mut command = treenail(&["run", "true"]);
    command.env("_EXPERIMENTAL_DAGGER_RUNNER_HOST", "docker-container://engine");
    refused(command, "`docker-container`");
    refused(treenail(&["listen", "--allow-cors"]), "--allow-cors");
    refused(treenail(&["query", "-m", "./module"]), "--mod");
}

#[test]
fn other_refusals_are_clear() {
    let refused = |args: &[&str], text: &str| {
        let (code, stdout, stderr) = output(treenail(args));
        assert_eq!((code, stdout.as_str()), (1, ""), "{args:?}");
        assert!(stderr.contains(text), "{args:?}: {stderr}");
    };
    refused(&["--progress", "tty", "run", "true"], "no tty available for progress \"tty\"");
    refused(&["--progress", "x", "run", "true"], "unknown progress type \"x\"");
    refused(&["session", "--version", "v0.18.3"], "incompatible client version v0.18.3");
    refused(&["--workdir", "/nonexistent", "run", "true"], "/nonexistent");
    refused(&["query", "--doc", "/nonexistent.graphql"], "/nonexistent.graphql");
    refused(&["query", "--doc", "/dev/null", "--var-json", "[1]"], "--var-json");
    refused(&["query", "--doc", "/dev/null", "--var", "x"], "--var");
}

#[test]
fn a_named_session_is_joined() {
    let mut command =
        treenail(&["run", "sh", "-c", "echo $DAGGER_SESSION_PORT $DAGGER_SESSION_TOKEN; exit 4"]);
    command.env("DAGGER_SESSION_PORT", "1").env("DAGGER_SESSION_TOKEN", "t");
    assert_eq!(output(command), (4, "1 t\n".to_owned(), String::new()));

    let mut command = treenail(&["query", "--doc", "/dev/null"]);
    command.env("DAGGER_SESSION_PORT", "x");
    let (code, _, stderr) = output(command);
    assert_eq!(code, 1);
    assert!(stderr.contains("DAGGER_SESSION_PORT is not a port"), "{stderr}");
}
