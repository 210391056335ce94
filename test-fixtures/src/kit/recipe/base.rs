//! The userlands that everything else stands on.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::json;

use super::{Built, Work, host, image, link, set_mode, write};
use crate::kit::Kit;

pub(super) const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Folders of the busybox userland with their modes.
const FOLDERS: &[(&str, u32)] = &[
    ("bin", 0o755),
    ("dev", 0o755),
    ("etc", 0o755),
    ("home", 0o755),
    ("lib", 0o755),
    ("media", 0o755),
    ("mnt", 0o755),
    ("opt", 0o755),
    ("proc", 0o555),
    ("root", 0o700),
    ("run", 0o755),
    ("sbin", 0o755),
    ("srv", 0o755),
    ("sys", 0o555),
    ("tmp", 0o1777),
    ("usr/bin", 0o755),
    ("usr/lib", 0o755),
    ("usr/local/bin", 0o755),
    ("usr/local/lib", 0o755),
    ("usr/local/share", 0o755),
    ("usr/sbin", 0o755),
    ("usr/share", 0o755),
    ("var/cache", 0o755),
    ("var/empty", 0o555),
    ("var/lib", 0o755),
    ("var/local", 0o755),
    ("var/log", 0o755),
    ("var/mail", 0o755),
    ("var/opt", 0o755),
    ("var/spool", 0o755),
    ("var/tmp", 0o1777),
];

/// `name:uid:gid:home:shell`; numbers as Alpine has them, because recorded cases name some.
const USERS: &[&str] = &[
    "root:0:0:/root:/bin/sh",
    "bin:1:1:/bin:/sbin/nologin",
    "daemon:2:2:/sbin:/sbin/nologin",
    "lp:4:7:/var/spool/lpd:/sbin/nologin",
    "sync:5:0:/sbin:/bin/sync",
    "mail:8:12:/var/mail:/sbin/nologin",
    "news:9:13:/usr/lib/news:/sbin/nologin",
    "uucp:10:14:/var/spool/uucppublic:/sbin/nologin",
    "cron:16:16:/var/spool/cron:/sbin/nologin",
    "ftp:21:21:/var/lib/ftp:/sbin/nologin",
    "games:35:35:/usr/games:/sbin/nologin",
    "ntp:123:123:/var/empty:/sbin/nologin",
    "guest:405:100:/dev/null:/sbin/nologin",
    "nobody:65534:65534:/:/sbin/nologin",
];

/// `name:gid:members`.
const GROUPS: &[&str] = &[
    "root:0:root",
    "bin:1:root,bin,daemon",
    "daemon:2:root,bin,daemon",
    "sys:3:root,bin",
    "adm:4:root,daemon",
    "tty:5:",
    "disk:6:root",
    "lp:7:lp",
    "kmem:9:",
    "wheel:10:root",
    "floppy:11:root",
    "mail:12:mail",
    "news:13:news",
    "uucp:14:uucp",
    "cron:16:cron",
    "audio:18:",
    "cdrom:19:",
    "dialout:20:root",
    "ftp:21:",
    "video:27:root",
    "games:35:",
    "shadow:42:",
    "www-data:82:",
    "users:100:games",
    "ntp:123:",
    "nogroup:65533:",
    "nobody:65534:",
];

/// Applets that live in `sbin` folders elsewhere matter to nobody here, except these.
const SBIN: &[&str] = &["init", "nologin", "ifconfig", "ip", "route", "reboot", "halt", "poweroff"];

/// The busybox userland under the names `alpine` and `busybox`.
pub(super) fn busybox(_: &Kit, work: &Work) -> Result<Built> {
    let tree = work.tree("busybox")?;
    fill_busybox(&tree)?;
    let layer = work.pack(&tree, "busybox", &[])?;
    Ok((vec![layer], json!({"Env": [format!("PATH={PATH}")], "Cmd": ["/bin/sh"]})))
}

pub(super) fn fill_busybox(tree: &Path) -> Result<()> {
    let program = host::find("busybox").context("no such program: `busybox`")?;
    let real = fs::canonicalize(&program).context("cannot find busybox")?;
    for (folder, mode) in FOLDERS {
        let path = tree.join(folder);
        fs::create_dir_all(&path).with_context(|| format!("cannot create folder: `{}`", path.display()))?;
        set_mode(&path, *mode)?;
    }
    let inside = tree.join("bin/busybox");
    fs::copy(&real, &inside).context("cannot copy busybox")?;
    set_mode(&inside, 0o755)?;
    let applets = host::run(Command::new(&real).arg("--list"))?;
    for applet in applets.split_whitespace() {
        // Debian's busybox answers to names of package managers too, which are no part of this userland.
        if matches!(applet, "busybox" | "dpkg" | "dpkg-deb" | "rpm" | "rpm2cpio" | "linuxrc") {
            continue;
        }
        let folder = if SBIN.contains(&applet) { "sbin" } else { "bin" };
        link("/bin/busybox", &tree.join(folder).join(applet))?;
    }
    link("/bin/busybox", &tree.join("usr/bin/env"))?;
    link("/run", &tree.join("var/run"))?;
    let lines = |entries: &[&str], render: fn(&[&str]) -> String| -> String {
        entries.iter().map(|entry| render(&entry.split(':').collect::<Vec<_>>())).collect()
    };
    let etc = tree.join("etc");
    write(
        &etc.join("passwd"),
        &lines(USERS, |f| format!("{}:x:{}:{}:{}:{}:{}\n", f[0], f[1], f[2], f[0], f[3], f[4])),
    )?;
    write(&etc.join("group"), &lines(GROUPS, |f| format!("{}:x:{}:{}\n", f[0], f[1], f[2])))?;
    write(&etc.join("shadow"), &lines(USERS, |f| format!("{}:*::0:::::\n", f[0])))?;
    set_mode(&etc.join("shadow"), 0o640)?;
    write(&etc.join("shells"), "/bin/sh\n/bin/ash\n")?;
    write(&etc.join("profile"), &format!("export PATH={PATH}\n"))?;
    write(&etc.join("hostname"), "localhost\n")?;
    write(
        &etc.join("hosts"),
        "127.0.0.1\tlocalhost localhost.localdomain\n::1\tlocalhost localhost.localdomain\n",
    )?;
    write(
        &etc.join("os-release"),
        "NAME=\"Treenail test userland\"\nID=treenail-busybox\nPRETTY_NAME=\"busybox from Debian, for tests\"\n",
    )
}

/// A minimal Debian.
pub(super) fn debian(kit: &Kit, work: &Work) -> Result<Built> {
    let layer = debian_layer(kit, work)?;
    Ok((vec![layer], json!({"Env": [format!("PATH={PATH}")], "Cmd": ["bash"]})))
}

/// The layer of a minimal Debian 12; the tree is kept, because installing it takes a minute.
pub(super) fn debian_layer(kit: &Kit, work: &Work) -> Result<image::Layer> {
    host::ensure(kit, host::DEBIAN)?;
    if !host::is_root() {
        bail!("debootstrap needs root");
    }
    let _lock = kit.lock("debootstrap")?;
    let tree = kit.root().join("debian-12");
    if !tree.exists() {
        kit.say("installing a minimal Debian 12 with debootstrap, about a minute");
        let partial = work.tree("debian")?;
        host::run(
            Command::new("debootstrap")
                .args(["--variant=minbase", "--include=ca-certificates", "bookworm"])
                .arg(&partial)
                .arg(mirror()),
        )?;
        clean_debian(&partial)?;
        fs::rename(&partial, &tree).context("cannot keep the Debian tree")?;
    }
    work.pack(&tree, "debian", &[])
}

/// Removes what differs from run to run and what no test reads.
fn clean_debian(tree: &Path) -> Result<()> {
    let script = "cd \"$0\" && rm -rf var/lib/apt/lists/* var/cache/apt/*.bin var/cache/apt/archives/*.deb var/log/* \
                  var/cache/ldconfig/aux-cache usr/share/doc/* usr/share/man/* usr/share/locale/* dev/* proc/* sys/*";
    host::run(Command::new("sh").args(["-c", script]).arg(tree))?;
    write(&tree.join("etc/hostname"), "localhost\n")?;
    write(&tree.join("etc/resolv.conf"), "")
}

/// The Debian mirror that this machine's own apt uses.
fn mirror() -> String {
    let configured =
        ["/etc/apt/sources.list.d/debian.sources", "/etc/apt/sources.list"].into_iter().find_map(|path| {
            let text = fs::read_to_string(path).ok()?;
            find_mirror(&text)
        });
    configured.unwrap_or_else(|| "http://deb.debian.org/debian".into())
}

/// The first mirror of the main archive in either format of apt's sources.
fn find_mirror(text: &str) -> Option<String> {
    text.lines()
        .filter(|line| line.starts_with("URIs:") || line.starts_with("deb "))
        .flat_map(str::split_whitespace)
        .find(|word| word.starts_with("http") && word.trim_end_matches('/').ends_with("/debian"))
        .map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mirrors_are_read_from_both_formats() {
        let new = "Types: deb\nURIs: http://mirror.example/debian\nSuites: bookworm\n";
        assert_eq!(find_mirror(new).as_deref(), Some("http://mirror.example/debian"));
        let old = "# deb http://no/debian x\ndeb [signed-by=/k] https://m.example/debian/ bookworm main\n";
        assert_eq!(find_mirror(old).as_deref(), Some("https://m.example/debian/"));
        assert_eq!(find_mirror("deb http://m.example/ubuntu jammy main\n"), None);
    }

    #[test]
    fn every_user_has_a_group() {
        for user in USERS {
            let gid = user.split(':').nth(2).expect("a group");
            assert!(GROUPS.iter().any(|group| group.split(':').nth(1) == Some(gid)), "{user}");
        }
    }
}
