//! What the machine itself must have, and how it gets it.
//!
//! As root on a machine with apt the missing packages are installed, and the kit says so. Elsewhere
//! the error is the one line to run. Nothing else of the machine is changed.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use super::Kit;

/// A program and the Debian package that has it.
#[derive(Debug, Clone, Copy)]
pub struct Tool {
    /// Name of the program, looked up in `PATH` and the system's own folders.
    pub program: &'static str,
    /// The Debian package to install.
    pub package: &'static str,
}

const fn tool(program: &'static str, package: &'static str) -> Tool {
    Tool { program, package }
}

/// What a daemon with its registry and the small images needs.
pub const DAEMON: &[Tool] = &[
    tool("runc", "runc"),
    tool("docker-registry", "docker-registry"),
    // Signs tokens in tests of registries.
    tool("openssl", "openssl"),
    tool("busybox", "busybox-static"),
    tool("unshare", "util-linux"),
    tool("tar", "tar"),
];

/// What images with a Debian userland need besides.
pub const DEBIAN: &[Tool] = &[tool("debootstrap", "debootstrap")];

/// What bridge networking needs besides. The first is a plugin, not a program in `PATH`.
pub const BRIDGE: &[Tool] =
    &[tool("/usr/lib/cni/bridge", "containernetworking-plugins"), tool("iptables", "iptables")];

/// What building for musl with C dependencies needs.
pub const MUSL: &[Tool] = &[tool("musl-gcc", "musl-tools")];

/// The tools of the list that are not here.
#[must_use]
pub fn missing(tools: &[Tool]) -> Vec<Tool> {
    tools.iter().copied().filter(|tool| find(tool.program).is_none()).collect()
}

/// Installs what is missing.
///
/// # Errors
/// When apt fails, or when this process may not install: the text names the line to run.
pub fn ensure(kit: &Kit, tools: &[Tool]) -> Result<()> {
    if missing(tools).is_empty() {
        return Ok(());
    }
    let _lock = kit.lock("apt")?;
    let packages: Vec<&str> = missing(tools).iter().map(|tool| tool.package).collect();
    if packages.is_empty() {
        return Ok(());
    }
    let line = format!("apt-get install -y --no-install-recommends {}", packages.join(" "));
    if !is_root() || find("apt-get").is_none() {
        bail!("programs are missing, run as root: `{line}`");
    }
    kit.say(&format!("installing what is missing: {line}"));
    let apt = |arguments: &[&str]| {
        let mut command = Command::new("apt-get");
        command.args(arguments).env("DEBIAN_FRONTEND", "noninteractive");
        run(&mut command)
    };
    let mut install = vec!["install", "-y", "-q", "--no-install-recommends"];
    install.extend(&packages);
    // The lists of a fresh machine are empty or old; updating first only when needed saves seconds.
    if apt(&install).is_err() {
        apt(&["update", "-q"])?;
        apt(&install)?;
    }
    let still: Vec<&str> = missing(tools).iter().map(|tool| tool.program).collect();
    if !still.is_empty() {
        bail!("programs are missing although their packages are installed: {}", still.join(", "));
    }
    Ok(())
}

/// Whether this process is root.
#[must_use]
pub fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").is_ok_and(|metadata| metadata.uid() == 0)
}

/// Where a program is: an absolute name as it is, else the first hit in `PATH` or the system's folders.
#[must_use]
pub fn find(program: &str) -> Option<std::path::PathBuf> {
    if program.starts_with('/') {
        return Path::new(program).exists().then(|| program.into());
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        // A user's PATH on Debian lacks the folders of root's programs.
        .chain(["/usr/local/sbin", "/usr/sbin", "/sbin"].map(Into::into))
        .map(|folder| folder.join(program))
        .find(|candidate| candidate.is_file())
}

/// Runs a command to its end and gives its output.
///
/// # Errors
/// When it cannot start or fails; the text has the end of what it said.
pub fn run(command: &mut Command) -> Result<String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("cannot start `{name}`"))?;
    if !output.status.success() {
        let said = [&output.stdout[..], &output.stderr[..]].concat();
        bail!("`{name}` failed ({}): {}", output.status, tail(&String::from_utf8_lossy(&said), 20));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The last lines of a text.
#[must_use]
pub fn tail(text: &str, lines: usize) -> String {
    let all: Vec<&str> = text.trim_end().lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tail_keeps_the_last_lines() {
        assert_eq!(tail("a\nb\nc\n", 2), "b\nc");
        assert_eq!(tail("a\n", 2), "a");
        assert_eq!(tail("", 2), "");
    }

    #[test]
    fn a_failed_command_says_what_it_said() {
        let error = run(Command::new("sh").args(["-c", "echo why >&2; exit 3"])).expect_err("fails");
        let text = error.to_string();
        assert!(text.contains("why") && text.contains('3'), "{text}");
    }

    #[test]
    fn missing_programs_are_named() {
        let tools = [tool("sh", "dash"), tool("no-such-program-here", "none")];
        let missing = missing(&tools);
        assert_eq!(missing.len(), 1);
        assert_eq!(missing[0].package, "none");
    }
}
