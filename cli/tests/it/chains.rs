//! Long chains over raw HTTP, their IDs in another session, and siblings that need each other.
//!
//! # Source
//! `DESIGN.md` D2 and D4; `contract/session.md` 5: "sibling selections run concurrently".

use serde_json::Value;

use crate::notation::{Values, ask, shortened, text};
use crate::service::Service;

/// The length that must not matter.
const CALLS: usize = 10_000;
/// Steps of a pipeline that really run.
const EXECS: usize = 500;

fn pure(calls: usize) -> String {
    let mut chain = "container".to_owned();
    for at in 0..calls {
        match at % 4 {
            0 => chain.push_str(&format!(r#".withEnvVariable(name: "V{}", value: "{at}")"#, at % 64)),
            1 => chain.push_str(&format!(r#".withLabel(name: "l{}", value: "{at}")"#, at % 64)),
            2 => chain.push_str(&format!(r#".withWorkdir(path: "/w{at}")"#)),
            _ => chain.push_str(&format!(r#".withUser(name: "{at}")"#)),
        }
    }
    chain
}

/// The value at the end of an answer that is nested as deep as its document: parsing and dropping that as a tree would
/// take a deep stack.
fn deep(service: &Service, chain: &str, values: &Values) -> String {
    let answer = ask(service, chain, values);
    let mut rest = answer.body.trim_end();
    while let Some(member) = rest.strip_prefix("{\"") {
        let (_, value) = member.split_once("\":").expect("a member");
        rest = value.strip_suffix('}').unwrap_or_else(|| panic!("{}", shortened(&answer.body)));
    }
    match serde_json::from_str(rest) {
        Ok(Value::String(text)) if answer.status == 200 => text,
        _ => panic!("{}: {}", answer.status, shortened(&answer.body)),
    }
}

mod daemon {
    use serde_json::json;

    use super::{CALLS, EXECS, Service, Values, deep, pure, text};
    use crate::notation::value;
    use crate::service::nonce;

    #[test]
    fn ten_thousand_pure_calls_are_answered_and_load_elsewhere() {
        let Some(daemon) = treenail_test_fixtures::daemon() else { return };
        let workdir = tempfile::tempdir().expect("a working directory");
        let first = Service::start(daemon, workdir.path());
        for calls in [1_000, CALLS] {
            let chain = pure(calls);
            let user = (calls - 1).to_string();
            assert_eq!(deep(&first, &format!("{chain}.user"), &Values::default()), user);
        }
        let id = deep(&first, &format!("{}.id", pure(CALLS)), &Values::default());
        // A bound that only something worse than linear breaks: each call of these documents costs a few kilobytes.
        let status =
            std::fs::read_to_string(format!("/proc/{}/status", first.pid())).expect("the session runs");
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("the kernel tells");
        let kilobytes: usize = peak.trim().trim_end_matches(" kB").parse().expect("a number");
        assert!(kilobytes < 400 << 10, "{kilobytes} kB at its peak");
        drop(first);
        let second = Service::start(daemon, workdir.path());
        let held = Values::default().with("held", "Container", id);
        let loaded = value(
            &second,
            r#"loadContainerFromID(id: $held).{user workdir a: envVariable(name: "V0") b: label(name: "l1")}"#,
            &held,
        );
        assert_eq!(loaded["user"], (CALLS - 1).to_string());
        assert_eq!(loaded["workdir"], format!("/w{}", CALLS - 2));
        assert!(loaded["a"].is_string() && loaded["b"].is_string(), "{loaded}");
    }

    #[test]
    fn the_size_of_an_id_grows_with_its_calls_and_no_faster() {
        let Some(daemon) = treenail_test_fixtures::daemon() else { return };
        let workdir = tempfile::tempdir().expect("a working directory");
        let service = Service::start(daemon, workdir.path());
        let size = |calls| deep(&service, &format!("{}.id", pure(calls)), &Values::default()).len();
        let (small, large) = (size(1_000), size(CALLS));
        assert!(large < small * CALLS / 1_000 * 11 / 10, "{small} bytes for 1000 calls, {large} for {CALLS}");
    }

    #[test]
    fn five_hundred_chained_execs_run_each_once() {
        let Some(daemon) = treenail_test_fixtures::daemon() else { return };
        let workdir = tempfile::tempdir().expect("a working directory");
        let first = Service::start(daemon, workdir.path());
        let nonce = nonce();
        let volume = |service: &Service| {
            let id = text(service, &format!(r#"cacheVolume(key: "chain-{nonce}").id"#), &Values::default());
            Values::default().with("runs", "CacheVolume", id)
        };
        let mut chain = r#"C.withMountedCache(path: "/c", cache: $runs)"#.to_owned();
        for _ in 0..EXECS {
            // Each step counts in its own file system and, beside the graph, in the volume.
            chain.push_str(r#".withExec(args: ["sh", "-c", "echo . >> /n; echo . >> /c/n"])"#);
        }
        let values = volume(&first);
        let lines = |service: &Service, values: &Values| {
            deep(service, &format!(r#"{chain}.file(path: "/n").contents"#), values).lines().count()
        };
        assert_eq!(lines(&first, &values), EXECS);
        let runs = |service: &Service, values: &Values, look: u32| {
            let count = format!(
                r#"C.withMountedCache(path: "/c", cache: $runs).withEnvVariable(name: "N", value: "{nonce}-{look}").withExec(args: ["sh", "-c", "wc -l < /c/n"]).stdout"#
            );
            text(service, &count, values).trim().parse::<usize>().expect("a number")
        };
        assert_eq!(runs(&first, &values, 0), EXECS);
        let id = deep(&first, &format!("{chain}.id"), &values);
        drop(first);

        let second = Service::start(daemon, workdir.path());
        let held = Values::default().with("held", "Container", id);
        let read = text(&second, r#"loadContainerFromID(id: $held).file(path: "/n").contents"#, &held);
        assert_eq!(read.lines().count(), EXECS, "the chain of an ID");
        assert_eq!(lines(&second, &volume(&second)), EXECS, "the chain again");
        assert_eq!(runs(&second, &volume(&second), 1), EXECS, "nothing ran twice");
    }

    #[test]
    fn siblings_run_at_the_same_time_at_every_depth() {
        let Some(daemon) = treenail_test_fixtures::daemon() else { return };
        let workdir = tempfile::tempdir().expect("a working directory");
        let service = Service::start(daemon, workdir.path());
        let nonce = nonce();
        let id = text(&service, &format!(r#"cacheVolume(key: "meet-{nonce}").id"#), &Values::default());
        // Each waits for the other's file: one after the other they would never meet.
        let meet = |level: &str, mine: &str, other: &str| {
            format!(
                r#"withExec(args: ["sh", "-c", "touch /c/{level}{mine}; n=0; until test -e /c/{level}{other}; do sleep 0.05; n=$((n+1)); test $n -lt 1200 || exit 9; done; echo {level}{mine}"]){{stdout}}"#
            )
        };
        let document = format!(
            r#"query($runs: CacheVolumeID!) {{
                one: container{{from(address: "alpine:3.20"){{withMountedCache(path: "/c", cache: $runs){{
                    {a}
                    x: withEnvVariable(name: "D", value: "1"){{ {c} }}
                    y: withEnvVariable(name: "D", value: "2"){{ withLabel(name: "a", value: "b") {{ {d} }} }}
                }}}}}}
                two: container{{from(address: "alpine:3.20"){{withMountedCache(path: "/c", cache: $runs){{ {b} }}}}}}
            }}"#,
            a = meet("root", "a", "b"),
            b = meet("root", "b", "a"),
            c = meet("deep", "a", "b"),
            d = meet("deep", "b", "a"),
        );
        let answer = service.post(&json!({ "query": document, "variables": { "runs": id } }));
        let json = answer.json();
        assert!(json.get("errors").is_none(), "{}", answer.body);
        let mount = &json["data"]["one"]["from"]["withMountedCache"];
        assert_eq!(mount["withExec"]["stdout"], "roota\n");
        assert_eq!(mount["x"]["withExec"]["stdout"], "deepa\n");
        assert_eq!(mount["y"]["withLabel"]["withExec"]["stdout"], "deepb\n");
        assert_eq!(json["data"]["two"]["from"]["withMountedCache"]["withExec"]["stdout"], "rootb\n");

        // Elements of a list, too: each is asked for a container of its own.
        let values = Values::default().with("runs", "CacheVolume", id);
        let both = std::thread::scope(|scope| {
            let ask = |mine: &'static str, other: &'static str| {
                let chain = format!(
                    r#"C.withMountedCache(path: "/c", cache: $runs).{}"#,
                    meet("request", mine, other).replace("{stdout}", ".stdout")
                );
                let (service, values) = (&service, &values);
                scope.spawn(move || text(service, &chain, values))
            };
            let (one, two) = (ask("a", "b"), ask("b", "a"));
            [one.join().expect("answered"), two.join().expect("answered")]
        });
        assert_eq!(both, ["requesta\n", "requestb\n"], "two requests of one session");
    }
}
