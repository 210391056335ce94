//! How commands end, and what they leave running.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Command;

use treenail_init::{ExitRecord, Expect};

use crate::container::Container;

#[test]
fn codes_are_recorded_and_judged() {
    for (script, expect, record, status) in [
        ("exit 0", Expect::Success, ExitRecord::Exited(0), 0),
        ("exit 3", Expect::Success, ExitRecord::Exited(3), 3),
        ("exit 254", Expect::Any, ExitRecord::Exited(254), 0),
        ("exit 254", Expect::Failure, ExitRecord::Exited(254), 0),
        ("exit 0", Expect::Failure, ExitRecord::Exited(0), 1),
        ("exit 130", Expect::Any, ExitRecord::Exited(130), 130),
        ("kill -9 $$", Expect::Any, ExitRecord::Signaled(9), 137),
        ("kill -TERM $$", Expect::Success, ExitRecord::Signaled(15), 143),
    ] {
        let Some(container) = Container::script(script) else { return };
        let left = container.with(|spec| spec.expect = expect).run();
        assert_eq!(left.ended(), (record, status), "{script} {expect:?}");
    }
}

#[test]
fn signals_reach_the_command() {
    for (signal, code) in [("TERM", 1), ("INT", 2), ("USR1", 3), ("PIPE", 4), ("HUP", 5)] {
        let script = "trap 'exit 1' TERM; trap 'exit 2' INT; trap 'exit 3' USR1; trap 'exit 4' PIPE; \
            trap 'exit 5' HUP; echo ready; while :; do usleep 10000; done";
        let Some(container) = Container::script(script) else { return };
        let container = container.without_own_processes();
        let mut child = container.start();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().expect("piped"))
            .read_line(&mut line)
            .expect("the helper writes it");
        assert_eq!(line, "ready\n");
        let helper = find_helper(child.id()).expect("it runs");
        let sent =
            Command::new("kill").args(["-s", signal, &helper.to_string()]).status().expect("kill is there");
        assert!(sent.success());
        assert_eq!(container.end(child).ended(), (ExitRecord::Exited(code), i32::from(code)), "{signal}");
    }
}

/// The helper below a process.
fn find_helper(above: u32) -> Option<u32> {
    let children = std::fs::read_to_string(format!("/proc/{above}/task/{above}/children")).ok()?;
    children.split_whitespace().filter_map(|pid| pid.parse().ok()).find_map(|pid: u32| {
        let line = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        if line.starts_with("/.init\0") { Some(pid) } else { find_helper(pid) }
    })
}

#[test]
fn orphans_are_reaped() {
    // The subshell ends before its own child, whose parent is then the helper.
    let script = "(sh -c 'echo $$ > /tmp/orphan; usleep 1000' & ); i=0; \
        while [ ! -s /tmp/orphan ] || [ -d /proc/$(cat /tmp/orphan) ]; do \
        i=$((i+1)); [ $i -lt 1000 ] || exit 9; usleep 5000; done";
    for own in [true, false] {
        let Some(container) = Container::script(script) else { return };
        let container = if own { container } else { container.without_own_processes() };
        assert_eq!(container.run().printed(), "");
    }
}

#[test]
fn a_background_process_does_not_keep_the_exec() {
    let script = "setsid sh -c 'echo $$ > /tmp/pid; exec sleep 1000' & \
        while [ ! -s /tmp/pid ]; do usleep 1000; done; echo done";
    for own in [true, false] {
        let Some(container) = Container::script(script) else { return };
        let container = if own { container } else { container.without_own_processes() };
        assert_eq!(container.run().printed(), "done\n");
        if !own {
            let pid = std::fs::read_to_string(container.path("/tmp/pid")).expect("written");
            assert!(!Path::new("/proc").join(pid.trim()).exists());
        }
    }
}

#[test]
fn the_group_is_asked_to_end() {
    let script = "sh -c 'trap \"echo bye; exit\" TERM; echo up > /tmp/up; while :; do usleep 1000; done' & \
        while [ ! -s /tmp/up ]; do usleep 1000; done; echo end";
    let Some(container) = Container::script(script) else { return };
    assert_eq!(container.run().printed(), "end\nbye\n");
}

#[test]
fn a_log_that_nobody_reads_does_not_matter() {
    let Some(container) =
        Container::script("dd if=/dev/null 2>/dev/null; yes | dd bs=1k count=1000 2>/dev/null")
    else {
        return;
    };
    let mut child = container.start();
    drop(child.stdout.take());
    let left = container.end(child);
    assert_eq!(left.ended(), (ExitRecord::Exited(0), 0));
    assert!(left.bytes("stdout").len() > 100_000);
}
