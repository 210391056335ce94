//! Earlier releases of the SDK against the same service.

use super::{Door, Ground, script};

/// All that were published before the one that drives the other tests.
///
/// # Source
/// `contract/session.md` 6: views from 0.19.0 on are accepted.
const EARLIER: [&str; 11] = [
    "0.19.0", "0.19.1", "0.19.2", "0.19.3", "0.19.4", "0.19.5", "0.19.6", "0.19.7", "0.19.8", "0.19.9",
    "0.19.10",
];

#[test]
fn every_release_of_the_python_sdk_runs_a_pipeline() {
    let Some(ground) = Ground::lay() else { return };
    let Some(sdks) = treenail_test_fixtures::shared::sdks() else { return };
    for (number, version) in EARLIER.iter().enumerate() {
        let release = sdks.python_release(version);
        assert!(release.join("dagger").is_dir(), "release {version} is there");
        let door = if number % 2 == 0 { Door::Binary } else { Door::Run };
        let mut command = ground.command(door, &[ground.python.clone().into(), script("probe.py")]);
        command.args(["release", &ground.nonce()]).env("PYTHONPATH", &release);
        let seen = ground.finish(&mut command).json();
        assert_eq!(seen["release"], *version, "the release is the one that was asked");
        assert_eq!(seen["scrubbed"], "got ***\n400\n", "{version}");
        assert_eq!(seen["again"], "one\n", "{version}");
        assert_eq!(seen["synced"], "/work", "{version}");
    }
}
