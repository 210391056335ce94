//! How each SDK starts a session, and what it does where there is one already.
//!
//! # Source
//! `contract/session.md` 3.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Command, Stdio};

use serde_json::json;
use treenail_test_fixtures::kit::sdks::Sdks;

use super::languages::{LANGUAGES, Language};
use super::{BINARY, Door, Ground, TREENAIL, clean};

fn ground() -> Option<(Ground, Sdks)> {
    Some((Ground::lay()?, treenail_test_fixtures::shared::sdks()?))
}

fn probe(ground: &Ground, sdks: &Sdks, language: Language, door: Door) -> Command {
    ground.command(door, &language.program(ground, sdks, "probe"))
}

/// The Go SDK adds flags for more output and for its version to this, and sends `Host: dagger`.
#[test]
fn a_working_directory_is_passed_on() {
    let Some((ground, sdks)) = ground() else { return };
    let place = ground.path("place");
    fs::create_dir_all(place.join("sub")).expect("a folder");
    fs::write(place.join("file"), "text").expect("a file");
    for language in LANGUAGES {
        let mut command = probe(&ground, &sdks, language, Door::Binary);
        let seen = ground.finish(command.arg("place").arg(&place)).json();
        assert_eq!(seen, json!({"entries": ["file", "sub/"]}), "{language:?}");
    }
}

#[test]
fn a_working_directory_is_the_one_of_run() {
    let Some((ground, sdks)) = ground() else { return };
    let place = ground.path("place");
    fs::create_dir_all(&place).expect("a folder");
    // The Go SDK refuses what it could not do.
    let mut command = probe(&ground, &sdks, Language::Go, Door::Run);
    let ran = ground.finish(command.arg("place").arg(&place));
    assert_eq!(ran.output.status.code(), Some(1), "the exit code of the program is passed on");
    assert!(ran.errors().contains("cannot configure workdir"), "{}", ran.errors());
}

#[test]
fn the_obsolete_project_flag_is_an_error_of_the_sdk() {
    let Some((ground, sdks)) = ground() else { return };
    let mut command = probe(&ground, &sdks, Language::Python, Door::Binary);
    let ran = ground.finish(command.arg("place").arg(ground.path("")).arg("project"));
    assert!(!ran.output.status.success());
    assert!(ran.errors().contains("SessionError"), "{}", ran.errors());
}

#[test]
fn a_session_in_the_environment_wins_over_a_program() {
    let Some((ground, sdks)) = ground() else { return };
    for language in LANGUAGES {
        let mut command = probe(&ground, &sdks, language, Door::Run);
        let text = ground.finish(command.arg("connect").env(BINARY, "/no/such/program")).text();
        assert!(text.contains("v0.19.11"), "{language:?}: {text}");
    }
}

#[test]
fn half_a_session_in_the_environment_is_an_error_or_none() {
    let Some((ground, sdks)) = ground() else { return };
    for language in LANGUAGES {
        let mut command = probe(&ground, &sdks, language, Door::Binary);
        let ran = ground.finish(command.arg("connect").env("DAGGER_SESSION_PORT", "1"));
        if language == Language::Rust {
            assert!(ran.text().contains("v0.19.11"), "this one starts the program");
        } else {
            assert!(!ran.output.status.success(), "{language:?}: {}", ran.errors());
            assert!(ran.errors().contains("DAGGER_SESSION_TOKEN"), "{language:?}: {}", ran.errors());
        }
    }
}

#[test]
fn the_go_sdk_may_name_the_daemon() {
    let Some((ground, sdks)) = ground() else { return };
    let mut command = probe(&ground, &sdks, Language::Go, Door::Binary);
    command.args(["connect", ground.daemon.address()]).env_remove("BUILDKIT_HOST");
    let ran = ground.finish(&mut command);
    assert!(ran.text().contains("v0.19.11"));
    let mut command = probe(&ground, &sdks, Language::Go, Door::Binary);
    let nowhere = format!("unix://{}", ground.path("no.sock").display());
    command.args(["connect", &nowhere]).env_remove("BUILDKIT_HOST");
    let ran = ground.finish(&mut command);
    assert!(!ran.output.status.success());
    assert!(ran.errors().contains(&nowhere), "the reason arrives: {}", ran.errors());
}

/// Closed input, a signal, or a dropped pipe: each ends the session in good order, so that its summary is written
/// before the program's own end.
#[test]
fn each_sdk_waits_until_the_session_has_ended() {
    let Some((ground, sdks)) = ground() else { return };
    for language in LANGUAGES {
        let mut command = probe(&ground, &sdks, language, Door::Binary);
        let ran = ground.finish(command.arg("connect"));
        assert!(ran.text().contains("v0.19.11"), "{language:?}");
        assert_eq!(ran.execs(), 0, "{language:?}");
    }
}

/// Whoever has just written the program may still hold it open. Both SDKs try again for a second.
#[test]
fn a_program_that_is_still_written_is_tried_again() {
    let Some((ground, sdks)) = ground() else { return };
    for language in [Language::Go, Language::Python] {
        let copy = ground.path(&format!("copy-{language:?}"));
        fs::copy(TREENAIL, &copy).expect("a copy");
        let held = fs::OpenOptions::new().append(true).open(&copy).expect("opens");
        let refused = clean(&mut Command::new(&copy), ground.daemon).arg("version").output();
        assert_eq!(refused.expect_err("busy").kind(), std::io::ErrorKind::ExecutableFileBusy);

        let mut command = probe(&ground, &sdks, language, Door::Binary);
        let mut child = command
            .arg("connect")
            .env(BINARY, &copy)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("starts");
        let mut output = BufReader::new(child.stdout.take().expect("piped"));
        let mut line = String::new();
        output.read_line(&mut line).expect("a line");
        assert_eq!(line, "starting\n");
        // From here on it is about to start the program, or has failed to.
        drop(held);
        let mut rest = String::new();
        output.read_to_string(&mut rest).expect("text");
        let ended = child.wait_with_output().expect("ends");
        assert!(ended.status.success(), "{language:?}: {}", String::from_utf8_lossy(&ended.stderr));
        assert!(rest.contains("v0.19.11"), "{language:?}: {rest}");
    }
}
