use std::collections::BTreeMap;
use std::path::Path;

use super::{Error, Origin, Surroundings, discover};

/// A machine made up for a test.
#[derive(Default)]
struct Made {
    variables: BTreeMap<&'static str, &'static str>,
    files: BTreeMap<&'static str, &'static str>,
}

impl Made {
    fn var(mut self, name: &'static str, value: &'static str) -> Self {
        self.variables.insert(name, value);
        self
    }

    fn file(mut self, path: &'static str, text: &'static str) -> Self {
        self.files.insert(path, text);
        self
    }
}

impl Surroundings for Made {
    fn variable(&self, name: &str) -> Option<String> {
        self.variables.get(name).filter(|value| !value.is_empty()).map(|value| (*value).to_owned())
    }

    fn read(&self, path: &Path) -> Option<String> {
        self.files.get(path.to_str()?).map(|text| (*text).to_owned())
    }

    fn exists(&self, path: &Path) -> bool {
        path.to_str().is_some_and(|path| self.files.contains_key(path))
    }
}

const SOCKET: &str = "/run/buildkit/buildkitd.sock";
const REMOTE: &str = r#"{"Name":"b","Driver":"remote","Nodes":[{"Name":"b0","Endpoint":"kube-pod://x"},
    {"Name":"b1","Endpoint":"tcp://b:1","DriverOpts":{"cacert":"/ca"}},{"Name":"b2","Endpoint":"tcp://b:2"}]}"#;
const CONTAINER: &str = r#"{"Name":"c","Driver":"docker-container","Nodes":[]}"#;
const CURRENT: &str = r#"{"Key":"unix:///var/run/docker.sock","Name":"b","Global":false}"#;

fn buildx(current: &'static str) -> Made {
    Made::default()
        .var("HOME", "/home/u")
        .file("/home/u/.docker/buildx/current", current)
        .file("/home/u/.docker/buildx/instances/b", REMOTE)
        .file("/home/u/.docker/buildx/instances/c", CONTAINER)
        .file(SOCKET, "")
}

#[test]
fn the_order_is_flag_variables_builder_socket() {
    let all = || {
        buildx(CURRENT).var("BUILDKIT_HOST", "tcp://v:1").var("_EXPERIMENTAL_DAGGER_RUNNER_HOST", "unix:///r")
    };
    type Row = (Option<&'static str>, Option<&'static str>, Made, &'static str, Origin);
    let table: [Row; 8] = [
        (Some("unix:///f"), None, all(), "unix:///f", Origin::Flag),
        (None, Some("b"), all(), "tcp://b:2", Origin::Builder),
        (None, None, all(), "tcp://v:1", Origin::Variable("BUILDKIT_HOST")),
        (
            None,
            None,
            all().var("BUILDKIT_HOST", ""),
            "unix:///r",
            Origin::Variable("_EXPERIMENTAL_DAGGER_RUNNER_HOST"),
        ),
        (
            None,
            None,
            buildx("{}").var("BUILDX_BUILDER", "b"),
            "tcp://b:2",
            Origin::Variable("BUILDX_BUILDER"),
        ),
        (None, None, buildx(CURRENT), "tcp://b:2", Origin::SelectedBuilder),
        (
            None,
            None,
            Made::default().file(SOCKET, ""),
            "unix:///run/buildkit/buildkitd.sock",
            Origin::UsualSocket,
        ),
        (
            None,
            None,
            Made::default()
                .var("XDG_RUNTIME_DIR", "/run/user/7")
                .file("/run/user/7/buildkit/buildkitd.sock", ""),
            "unix:///run/user/7/buildkit/buildkitd.sock",
            Origin::UsualSocket,
        ),
    ];
    for (addr, builder, machine, address, origin) in table {
        let found = discover(addr, builder, &machine).expect(address);
        assert_eq!((found.address.as_str(), found.origin), (address, origin));
    }
}

#[test]
fn a_selection_for_another_docker_does_not_count() {
    let origin = |machine: Made| discover(None, None, &machine).expect("a socket").origin;
    assert_eq!(origin(buildx(CURRENT).var("DOCKER_HOST", "tcp://elsewhere")), Origin::UsualSocket);
    assert_eq!(origin(buildx(CURRENT).var("DOCKER_CONTEXT", "remote")), Origin::UsualSocket);
    let context = r#"{"currentContext":"remote"}"#;
    assert_eq!(origin(buildx(CURRENT).file("/home/u/.docker/config.json", context)), Origin::UsualSocket);
    let global = r#"{"Key":"x","Name":"b","Global":true}"#;
    assert_eq!(origin(buildx(global)), Origin::SelectedBuilder);
    let context_key = r#"{"Key":"remote","Name":"b"}"#;
    assert_eq!(origin(buildx(context_key).var("DOCKER_CONTEXT", "remote")), Origin::SelectedBuilder);
}

#[test]
fn what_is_only_selected_may_be_passed_over_but_what_is_named_may_not() {
    let selected = r#"{"Name":"c","Global":true}"#;
    assert_eq!(discover(None, None, &buildx(selected)).expect("a socket").origin, Origin::UsualSocket);

    let mut machine = buildx(selected);
    machine.files.remove(SOCKET);
    let error = discover(None, None, &machine).expect_err("nothing");
    assert!(error.hints().iter().any(|hint| hint.contains("docker-container")), "{:?}", error.hints());

    for name in ["c", "nobody", "../b", ".."] {
        let error = discover(None, Some(name), &buildx(CURRENT)).expect_err(name);
        assert!(matches!(error, Error::Builder { .. }), "{error:?}");
    }
}

#[test]
fn nothing_found_shows_three_ways_out() {
    let error = discover(None, None, &Made::default()).expect_err("nothing");
    let hints = error.hints().join("\n");
    for way in ["--addr", "sudo buildkitd", "docker run"] {
        assert!(hints.contains(way), "{hints}");
    }
}

#[test]
fn other_schemes_are_named_and_passwords_are_not() {
    let machine = Made::default().var("_EXPERIMENTAL_DAGGER_RUNNER_HOST", "ssh://me:secret@host/s");
    let error = discover(None, None, &machine).expect_err("unsupported").to_string();
    assert!(error.contains("`ssh`") && error.contains("host/s") && !error.contains("secret"), "{error}");
    let error = discover(Some("/run/x.sock"), None, &machine).expect_err("no scheme");
    assert!(matches!(error, Error::NoScheme { .. }));
}
