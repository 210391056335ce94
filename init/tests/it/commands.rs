//! How a command is found, started and seen.

use treenail_init::{ExitRecord, Expect, STDIN_FILE, Stdin};

use crate::container::Container;

#[test]
fn output_goes_to_files_and_log() {
    let Some(container) = Container::script("echo out; echo err >&2") else { return };
    let left = container.run();
    assert_eq!(left.printed(), "out\n");
    assert_eq!(left.stderr(), "err\n");
    assert_eq!((left.log.as_str(), left.error_log.as_str()), ("out\n", "err\n"));
    let combined = left.combined();
    assert!(combined == "out\nerr\n" || combined == "err\nout\n", "{combined}");
}

#[test]
fn the_helper_is_process_1_and_the_command_leads_a_session() {
    let Some(container) =
        Container::script("readlink /proc/self/exe; cat /proc/1/cmdline; cat /proc/$$/stat")
    else {
        return;
    };
    let printed = container.run().printed();
    let (head, stat) = printed.split_once("/.init\0sh\0-c\0").unwrap_or_else(|| panic!("{printed}"));
    assert_eq!(head, "/bin/busybox\n");
    // Process, parent, group, session.
    let stat = stat.rsplit_once("\0").map_or(stat, |(_, stat)| stat);
    let fields: Vec<&str> = stat.split(' ').collect();
    assert_eq!((fields[3], fields[4], fields[5]), ("1", fields[0], fields[0]), "{stat}");
}

#[test]
fn missing_commands_are_failed_commands() {
    for (command, stderr) in [
        ("no-such-binary", "exec: \"no-such-binary\": executable file not found in $PATH\n"),
        ("/no/such", "fork/exec /no/such: no such file or directory\n"),
        ("/etc/passwd", "fork/exec /etc/passwd: permission denied\n"),
        ("/tmp", "fork/exec /tmp: permission denied\n"),
        ("./tool", "fork/exec ./tool: exec format error\n"),
        ("", "fork/exec : no such file or directory\n"),
        ("here", "exec: \"here\": cannot run executable found relative to current directory\n"),
    ] {
        for no_init in [false, true] {
            let Some(container) = Container::command(&[command]) else { return };
            let container =
                container.file("/tool", b"nothing").file("/here", b"").env("PATH", "/usr/bin:/bin:");
            for tool in ["/tool", "/here"] {
                let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
                std::fs::set_permissions(container.path(tool), mode).expect("the root is ours");
            }
            let left = container.with(|spec| spec.no_init = no_init).run();
            assert_eq!(left.ended(), (ExitRecord::Exited(1), 1), "{command}");
            assert_eq!(left.stderr(), stderr);
            assert_eq!(left.error_log, stderr);
        }
    }
    let Some(container) = Container::command(&["no-such-binary"]) else { return };
    let left = container.with(|spec| spec.expect = Expect::Any).run();
    assert_eq!(left.ended(), (ExitRecord::Exited(1), 0));
}

#[test]
fn a_user_gets_its_groups_its_home_and_its_streams() {
    let script = "id; echo $HOME; echo again > /dev/stdout; id -u > /proc/self/fd/2";
    for (user, id, home) in [
        ("daemon", "uid=2(daemon) gid=2(daemon) groups=4(adm)", "/sbin"),
        ("2", "uid=2(daemon) gid=2(daemon) groups=4(adm)", "/sbin"),
        ("daemon:floppy", "uid=2(daemon) gid=11(floppy)", "/sbin"),
        ("77:11", "uid=77 gid=11(floppy)", "/"),
    ] {
        let Some(container) = Container::script(&script.replace("/dev/stdout", "/proc/self/fd/1")) else {
            return;
        };
        let left = container.env("HOME", "/root").with(|spec| spec.user = user.to_owned()).run();
        let printed = left.printed();
        let printed = printed.replace(" groups=11(floppy)", "");
        assert_eq!(printed, format!("{id}\n{home}\nagain\n"), "{user}");
    }
}

#[test]
fn an_unknown_user_is_a_failure() {
    let Some(container) = Container::command(&["id"]) else { return };
    let left = container.with(|spec| spec.user = "nobody-here".to_owned()).run();
    let message = "get user: unable to find user nobody-here: no matching entries in passwd file";
    assert_eq!(left.failure(), message);
    assert_eq!(left.error_log, format!("{message}\n"));
}

#[test]
fn the_environment_hides_what_is_ours() {
    let Some(container) = Container::script("env | grep -v -e ^PATH= -e ^PWD= -e ^SHLVL= -e ^_= -e ^OLDPWD=")
    else {
        return;
    };
    let container =
        container.env("TREENAIL_CACHES", "x").env("FTP_PROXY", "y").env("HOME", "/mine").env("A", "b=c");
    let container = container.with(|spec| {
        spec.hide_env = vec!["FTP_PROXY".to_owned()];
        spec.keep_home = true;
    });
    let printed = container.run().printed();
    let mut lines: Vec<&str> = printed.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, ["A=b=c", "HOME=/mine"]);
}

#[test]
fn standard_input_is_a_file_or_nothing() {
    let Some(container) = Container::command(&["cat"]) else { return };
    assert_eq!(container.run().printed(), "");
    let container = container.file(STDIN_FILE, b"text").file("/tmp/in", b"other");
    let container = container.with(|spec| spec.stdin = Stdin::File(STDIN_FILE.to_owned()));
    assert_eq!(container.run().printed(), "text");
    let container = container.with(|spec| {
        spec.cwd = "/tmp".to_owned();
        spec.stdin = Stdin::File("in".to_owned());
    });
    assert_eq!(container.run().printed(), "other");
    let Some(container) = Container::command(&["cat"]) else { return };
    let left = container.with(|spec| spec.stdin = Stdin::File("none".to_owned())).run();
    assert_eq!(left.failure(), "open redirect stdin file: open /none: no such file or directory");
}

#[test]
fn without_init_the_command_is_process_1() {
    let Some(container) = Container::script("echo $$; echo secret >&2; exit 3") else { return };
    let left = container.with(|spec| spec.no_init = true).run();
    assert_eq!((left.stdout().as_str(), left.stderr().as_str()), ("1\n", "secret\n"));
    assert_eq!(left.status.code(), Some(3));
    assert_eq!(left.record(), Err(treenail_init::RecordError::Empty));
    assert!(!left.has("combined"));
}
