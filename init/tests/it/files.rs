//! Files: working directory, redirects, secrets, large outputs, full disks.

use std::os::unix::fs::MetadataExt;

use treenail_init::ExitRecord;

use crate::container::Container;

#[test]
fn the_working_directory_is_made_for_the_user() {
    let Some(container) = Container::script("pwd; stat -c %u:%g:%a /new /new/deep; touch file") else {
        return;
    };
    let container = container.with(|spec| {
        spec.cwd = "/new/deep".to_owned();
        spec.user = "daemon".to_owned();
    });
    assert_eq!(container.run().printed(), "/new/deep\n2:2:755\n2:2:755\n");

    let Some(container) = Container::command(&["true"]) else { return };
    let left = container.with(|spec| spec.cwd = "/etc/passwd".to_owned()).run();
    assert_eq!(left.failure(), "enter working directory: chdir /etc/passwd: not a directory");
}

#[test]
fn redirects_get_a_copy() {
    let Some(container) = Container::script("echo o; echo e >&2; echo s3cret") else { return };
    let container = container.env("S", "s3cret").file("/tmp/e", b"longer than before").with(|spec| {
        spec.cwd = "/tmp".to_owned();
        spec.user = "daemon".to_owned();
        spec.redirect_stdout = Some("o".to_owned());
        spec.redirect_stderr = Some("/tmp/e".to_owned());
        spec.scrub_env = vec!["S".to_owned()];
    });
    let left = container.run();
    assert_eq!(left.printed(), "o\n***\n");
    assert_eq!(left.stderr(), "e\n");
    assert_eq!(std::fs::read_to_string(container.path("/tmp/o")).expect("made"), "o\n***\n");
    assert_eq!(std::fs::read_to_string(container.path("/tmp/e")).expect("made"), "e\n");
    let data = std::fs::metadata(container.path("/tmp/o")).expect("made");
    assert_eq!((data.uid(), data.gid(), data.mode() & 0o7777), (2, 2, 0o600));
}

#[test]
fn a_redirect_needs_its_directory_beforehand() {
    let Some(container) = Container::command(&["true"]) else { return };
    let container = container.with(|spec| {
        spec.cwd = "/new".to_owned();
        spec.redirect_stdout = Some("o".to_owned());
    });
    assert_eq!(
        container.run().failure(),
        "open redirect stdout file: open /new/o: no such file or directory"
    );
    assert!(!container.path("/new").exists());
}

#[test]
fn secrets_are_masked_everywhere() {
    let script = "printf pass; usleep 1000; printf 'word and pa'; echo; cat /secret; printf 'pass' >&2";
    let Some(container) = Container::script(script) else { return };
    let container = container.env("TOKEN", "password").env("NONE", "").file("/secret", b" two\nlines \n");
    let left = container
        .with(|spec| {
            spec.scrub_env = vec!["TOKEN".to_owned(), "NONE".to_owned(), "ABSENT".to_owned()];
            spec.scrub_files = vec!["/secret".to_owned(), "/absent".to_owned()];
        })
        .run();
    assert_eq!(left.printed(), "*** and pa\n***");
    assert_eq!(left.log, "*** and pa\n***");
    assert_eq!(left.stderr(), "pass");
}

#[test]
fn large_outputs_are_whole() {
    let Some(container) = Container::command(&["dd", "if=/big", "bs=1M"]) else { return };
    let content: Vec<u8> =
        (0..50_u32 << 20).map(|index| (index.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let left = container.file("/big", &content).run();
    assert!(left.bytes("stdout") == content);
    assert_eq!(left.bytes("combined").len(), content.len() + left.bytes("stderr").len());
    assert_eq!(left.ended().1, 0);
}

#[test]
fn a_full_disk_is_a_failure_that_is_told() {
    let Some(container) = Container::command(&["yes"]) else { return };
    let left = container.output_size("1m").run();
    let message = left.failure();
    assert!(message.ends_with("no space left on device"), "{message}");
}

#[test]
fn the_end_of_a_long_output_is_kept_apart_when_a_command_fails() {
    let Some(container) = Container::script("cat /big; echo end; echo short >&2; exit 3") else { return };
    let left = container.file("/big", &[b'x'; 102_399]).run();
    assert_eq!(left.ended(), (ExitRecord::Exited(3), 3));
    let tail = left.text("stdout.tail");
    let (size, end) = tail.split_once('\n').expect("a first line");
    assert_eq!((size, end.len()), ("102403", 102_400));
    assert!(end.ends_with("xend\n") && !left.has("stderr.tail"));

    let Some(container) = Container::script("cat /big") else { return };
    assert!(!container.file("/big", &[b'x'; 200_000]).run().has("stdout.tail"));
}
