//! Digests and IDs that Dagger 0.19.11 gave for calls written here by hand.

use std::sync::Arc;

use treenail_call::{Argument, CallId, Digest, Limits, Literal, NewCall, Type, decode};

pub(crate) fn directory() -> CallId {
    CallId::root("directory", Type::required("Directory"))
}

pub(crate) fn container() -> CallId {
    CallId::root("container", Type::required("Container"))
}

pub(crate) fn text(name: &str, value: &str) -> Argument {
    Argument::new(name, Literal::string(value))
}

pub(crate) fn with_new_file() -> CallId {
    let args = vec![text("path", "a"), text("contents", "b")];
    directory().select("withNewFile", Type::required("Directory"), args)
}

fn environment() -> CallId {
    container().select("envVariables", Type::list(Type::required("EnvVariable")), vec![])
}

fn check(call: &CallId, digest: &str) {
    assert_eq!(call.digest().as_str(), digest, "{call}");
    assert!(!call.is_custom_digest());
}

#[test]
fn directories_and_files() {
    check(&directory(), "xxh3:6387acae235958f5");
    check(&with_new_file(), "xxh3:3a878dba772b50b5");
    let permissions = Argument::new("permissions", Literal::Int(420));
    let args = vec![text("path", "a"), text("contents", "b"), permissions];
    check(&directory().select("withNewFile", Type::required("Directory"), args), "xxh3:edb1fb3e5e794929");
    let file = |directory: CallId| directory.select("file", Type::required("File"), vec![text("path", "a")]);
    check(&file(directory()), "xxh3:6a4c9b407b61bc9c");
    let empty = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    check(&file(directory().with_content_digest(Digest::new(empty))), "xxh3:42401473c4cf7ee7");
}

#[test]
fn containers() {
    check(&container(), "xxh3:b639dcc8184a3ea5");
    let args = vec![text("path", "/m"), Argument::new("source", Literal::Id(with_new_file()))];
    check(
        &container().select("withMountedDirectory", Type::required("Container"), args),
        "xxh3:8f744211311557e0",
    );
    let exec = NewCall {
        receiver: Some(container()),
        args: vec![
            Argument::new("args", Literal::List(vec![Literal::string("echo"), Literal::string("hi")])),
            Argument::new("expect", Literal::Enum("ANY".into())),
            Argument::new("expand", Literal::Bool(true)),
        ],
        view: "v0.19.11".into(),
        ..NewCall::new("withExec", Type::required("Container"))
    };
    check(&exec.build(), "xxh3:3d2c8ad147a71e7c");
}

#[test]
fn caches_hosts_and_secrets() {
    let cache = NewCall {
        args: vec![text("key", "k"), text("namespace", "mainClient")],
        ..NewCall::new("cacheVolume", Type::required("CacheVolume"))
    };
    check(&cache.build(), "xxh3:666e3f1393743ba4");
    let host = CallId::root("host", Type::required("Host"));
    check(&host, "xxh3:cb844d145dfdb3fe");
    let port: Vec<(Arc<str>, Literal)> = vec![
        ("frontend".into(), Literal::Null),
        ("backend".into(), Literal::Int(80)),
        ("protocol".into(), Literal::Enum("TCP".into())),
    ];
    let ports = Argument::new("ports", Literal::List(vec![Literal::Object(port)]));
    let service = host.select("service", Type::required("Service"), vec![ports]);
    check(&service, "xxh3:b503af8ae8f8e99b");
    assert_eq!(service.digest().host_name(), "srgiv6u1k4ahc");
    let secret = NewCall {
        args: vec![text("name", "n"), Argument::sensitive("plaintext", Literal::string("hunter2"))],
        ..NewCall::new("setSecret", Type::required("Secret"))
    };
    check(&secret.build(), "xxh3:a5970a2cfe1892df");
}

#[test]
fn elements_of_a_list() {
    check(&environment(), "xxh3:644e25c23793b53e");
    let first = environment().element(0, Type::required("EnvVariable"));
    let second = environment().element(1, Type::required("EnvVariable"));
    assert_eq!(first.digest().as_str(), "xxh3:e14ee448b3f496f0");
    assert_eq!(second.digest().as_str(), "xxh3:e9b6280da02177d9");
    assert!(first.is_custom_digest());
    assert_eq!(first.index(), Some(0));
    assert_eq!(environment().index(), None);
}

#[test]
fn encoded_ids() {
    let first = environment().element(0, Type::required("EnvVariable"));
    for (call, id) in [
        (
            directory(),
            "ChV4eGgzOjYzODdhY2FlMjM1OTU4ZjUSSgoVeHhoMzo2Mzg3YWNhZTIzNTk1OGY1EjESDQoJRGlyZWN0b3J5GAEaCWRpcmVjdG9yeUoVeHhoMzo2Mzg3YWNhZTIzNTk1OGY1",
        ),
        (
            first,
            "ChV4eGgzOmUxNGVlNDQ4YjNmNDk2ZjASagoVeHhoMzo2NDRlMjVjMjM3OTNiNTNlElEKFXh4aDM6YjYzOWRjYzgxODRhM2VhNRITEg8KC0VudlZhcmlhYmxlGAEYARoMZW52VmFyaWFibGVzShV4eGgzOjY0NGUyNWMyMzc5M2I1M2USSgoVeHhoMzpiNjM5ZGNjODE4NGEzZWE1EjESDQoJQ29udGFpbmVyGAEaCWNvbnRhaW5lckoVeHhoMzpiNjM5ZGNjODE4NGEzZWE1EmoKFXh4aDM6ZTE0ZWU0NDhiM2Y0OTZmMBJRChV4eGgzOjY0NGUyNWMyMzc5M2I1M2USDwoLRW52VmFyaWFibGUYARoMZW52VmFyaWFibGVzOAFKFXh4aDM6ZTE0ZWU0NDhiM2Y0OTZmMFgB",
        ),
    ] {
        assert_eq!(call.encode(), id, "{call}");
        assert_eq!(decode(id, &Limits::default()), Ok(call));
    }
}

/// 0.19.11 shows this exec under a key of its own, made of its options; the key is kept through copies.
#[test]
fn a_chosen_digest_is_kept() {
    let shown = container().with_custom_digest(Digest::new("xxh3:d18bb558ed353b1a"));
    let known = shown.with_content_digest(Digest::new("sha256:00"));
    assert_eq!(known.digest(), shown.digest());
    let again = decode(&known.encode(), &Limits::default()).expect("made here");
    assert!(again.is_custom_digest());
    assert_eq!(again.content_digest(), Some(&Digest::new("sha256:00")));
}
