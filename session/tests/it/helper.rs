//! Credential helpers, which are programs found by `PATH`.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use treenail_session::{Credential, Credentials, DockerConfig};

const HELPER: &str = r#"#!/bin/sh
read -r server
case "$server" in
https://index.docker.io/v1/) echo '{"ServerURL":"x","Username":"hub","Secret":"s"}' ;;
quay.io) echo '{"ServerURL":"x","Username":"<token>","Secret":"t"}' ;;
locked.io) echo "the keychain is locked"; exit 1 ;;
*) echo "credentials not found in native keychain"; exit 1 ;;
esac
"#;

const CONFIG: &str = r#"{
"credsStore": "fake",
"credHelpers": {"absent.io": "absent"},
"auths": {"quay.io": {"auth": "dTpw"}, "entry.io": {"auth": "dTpw"}, "https://index.docker.io/v1/": {}}
}"#;

/// Set in the process whose environment is prepared.
const PREPARED: &str = "TREENAIL_TEST_PREPARED";

/// That of a running process cannot be changed safely, so the test runs itself again in a prepared one.
#[tokio::test]
async fn helpers_come_before_entries_and_may_know_nothing() {
    if std::env::var_os(PREPARED).is_some() {
        return with_a_prepared_environment().await;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let helper = folder.path().join("docker-credential-fake");
    fs::write(&helper, HELPER).expect("written");
    fs::set_permissions(&helper, Permissions::from_mode(0o755)).expect("set");
    fs::write(folder.path().join("config.json"), CONFIG).expect("written");
    let path = format!("{}:{}", folder.path().display(), std::env::var("PATH").expect("a search path"));
    let output = Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", "helper::helpers_come_before_entries_and_may_know_nothing"])
        .env(PREPARED, "1")
        .env("DOCKER_CONFIG", folder.path())
        .env("DOCKER_AUTH_CONFIG", r#"{"auths": {"inline.io": {"auth": "dTpw"}}}"#)
        .env("PATH", path)
        .output()
        .expect("run");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}

async fn with_a_prepared_environment() {
    let config = DockerConfig::from_env();
    let password = |username: &str, password: &str| {
        Some(Credential::Password { username: username.to_owned(), password: password.to_owned() })
    };
    for (host, expected) in [
        ("registry-1.docker.io", password("hub", "s")),
        ("quay.io", Some(Credential::IdentityToken("t".to_owned()))),
        ("entry.io", password("u", "p")),
        ("inline.io", password("u", "p")),
        ("unknown.io", None),
    ] {
        assert_eq!(config.credential(host).await.expect(host), expected, "{host}");
    }
    for (host, complaint) in [
        ("locked.io", "`docker-credential-fake` failed: the keychain is locked"),
        ("absent.io", "cannot run `docker-credential-absent`"),
    ] {
        assert_eq!(config.credential(host).await.expect_err(host).to_string(), complaint);
    }
}
