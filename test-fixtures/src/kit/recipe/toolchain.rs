//! Images with this machine's own toolchains, tagged with the versions really found.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::json;

use super::{Built, Work, base, host};
use crate::kit::Kit;

/// `a.b.c` as the tags `a.b`, `a.b.c` and `a`, each with a suffix; the usual one first.
fn version_tags(version: &str, suffix: &str) -> Vec<String> {
    let parts: Vec<&str> = version.split('.').collect();
    let mut tags = vec![format!("{}{suffix}", parts[..parts.len().min(2)].join("."))];
    for candidate in [format!("{version}{suffix}"), format!("{}{suffix}", parts[0])] {
        if !tags.contains(&candidate) {
            tags.push(candidate);
        }
    }
    tags
}

fn ask(program: &str, arguments: &[&str]) -> Result<String> {
    Ok(host::run(Command::new(program).args(arguments))?.trim().to_owned())
}

/// Packs `from` so that it appears at `to`, an absolute path.
fn pack_at(work: &Work, name: &str, from: &Path, to: &str, exclude: &[&str]) -> Result<super::image::Layer> {
    let mut arguments: Vec<String> = exclude.iter().map(|pattern| format!("--exclude={pattern}")).collect();
    // The flag `S` leaves targets of links alone.
    arguments.push(format!("--transform=s,^\\.,.{to},S"));
    arguments.extend(["--owner=0".into(), "--group=0".into()]);
    work.pack(from, name, &arguments)
}

pub(super) fn go_tags(suffix: &str) -> Result<Vec<String>> {
    let version = ask("go", &["env", "GOVERSION"])?;
    Ok(version_tags(version.trim_start_matches("go"), suffix))
}

fn go_layer(work: &Work) -> Result<super::image::Layer> {
    let root = PathBuf::from(ask("go", &["env", "GOROOT"])?);
    pack_at(work, "go", &root, "/usr/local/go", &["./test", "./api", "./doc"])
}

fn go_config() -> serde_json::Value {
    json!({
        "Env": [
            format!("PATH=/go/bin:/usr/local/go/bin:{}", base::PATH),
            "GOPATH=/go",
            "GOTOOLCHAIN=local",
        ],
        "Cmd": ["sh"],
        "WorkingDir": "/go",
    })
}

pub(super) fn go_on_busybox(_: &Kit, work: &Work) -> Result<Built> {
    let tree = work.tree("busybox")?;
    base::fill_busybox(&tree)?;
    Ok((vec![work.pack(&tree, "busybox", &[])?, go_layer(work)?], go_config()))
}

pub(super) fn go_on_debian(kit: &Kit, work: &Work) -> Result<Built> {
    Ok((vec![base::debian_layer(kit, work)?, go_layer(work)?], go_config()))
}

pub(super) fn python_tags() -> Result<Vec<String>> {
    let version = ask("python3", &["-c", "import platform; print(platform.python_version())"])?;
    let mut tags = version_tags(&version, "-slim");
    tags.extend(version_tags(&version, ""));
    Ok(tags)
}

pub(super) fn python(kit: &Kit, work: &Work) -> Result<Built> {
    let prefix = PathBuf::from(ask("python3", &["-c", "import sys; print(sys.base_prefix)"])?);
    let short = ask("python3", &["-c", "import sys; print('%d.%d' % sys.version_info[:2])"])?;
    let tree = work.tree("python")?;
    let local = tree.join("usr/local");
    let (bin, lib) = (local.join("bin"), local.join("lib"));
    for folder in [&bin, &lib] {
        std::fs::create_dir_all(folder).context("cannot create a folder for Python")?;
    }
    let program = format!("python{short}");
    let copy = |from: &Path, to: &Path| {
        host::run(Command::new("cp").args(["--archive", "--dereference"]).arg(from).arg(to)).map(drop)
    };
    copy(&prefix.join("bin").join(&program), &bin.join(&program))?;
    super::link(&program, &bin.join("python3"))?;
    super::link(&program, &bin.join("python"))?;
    let library = format!("lib/python{short}");
    let copied = lib.join(format!("python{short}"));
    host::run(Command::new("cp").arg("--archive").arg(prefix.join(&library)).arg(&copied))?;
    for part in ["test", "idlelib", "tkinter", "turtledemo", "ensurepip", "site-packages"] {
        host::run(Command::new("rm").arg("-rf").arg(copied.join(part)))?;
    }
    host::run(Command::new("find").arg(&copied).args([
        "-name",
        "__pycache__",
        "-prune",
        "-exec",
        "rm",
        "-rf",
        "{}",
        "+",
    ]))?;
    std::fs::create_dir_all(copied.join("site-packages")).context("cannot create the packages folder")?;
    let pip = "cp -a \"$0\"/pip \"$0\"/pip-*.dist-info \"$1\"/";
    let packages = copied.join("site-packages");
    if host::run(
        Command::new("sh").args(["-c", pip]).arg(prefix.join(&library).join("site-packages")).arg(&packages),
    )
    .is_ok()
    {
        let script = bin.join("pip");
        super::write(&script, "#!/bin/sh\nexec python3 -m pip \"$@\"\n")?;
        super::set_mode(&script, 0o755)?;
    }
    // Modules for windows drag half a desktop in.
    let unwanted = copied.join("lib-dynload");
    host::run(Command::new("sh").args(["-c", "rm -f \"$0\"/_tkinter*.so"]).arg(&unwanted))?;
    for library in shared_libraries(&bin.join(&program), &unwanted)? {
        let name = library.file_name().context("a library has a name")?;
        copy(&library, &lib.join(name))?;
    }
    let layer = work.pack(&tree, "python", &["--owner=0".into(), "--group=0".into()])?;
    let config = json!({
        "Env": [format!("PATH={}", base::PATH), "LANG=C.UTF-8", "LD_LIBRARY_PATH=/usr/local/lib"],
        "Cmd": ["python3"],
    });
    Ok((vec![base::debian_layer(kit, work)?, layer], config))
}

/// What the program and its loadable modules link to, less the C library that the base image has.
fn shared_libraries(program: &Path, modules: &Path) -> Result<BTreeSet<PathBuf>> {
    let listed =
        host::run(Command::new("sh").args(["-c", "ldd \"$0\" \"$1\"/*.so"]).arg(program).arg(modules))?;
    Ok(libraries_of(&listed))
}

fn libraries_of(listed: &str) -> BTreeSet<PathBuf> {
    const BASE: &[&str] =
        &["libc.so", "libm.so", "libdl.so", "libpthread.so", "libutil.so", "librt.so", "libresolv.so"];
    listed
        .lines()
        .filter_map(|line| line.split_once("=> ")?.1.split_whitespace().next())
        .map(PathBuf::from)
        .filter(|path| path.is_absolute())
        .filter(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            !BASE.iter().any(|base| name.starts_with(base))
        })
        .collect()
}

pub(super) fn node_tags() -> Result<Vec<String>> {
    let version = ask("node", &["--version"])?;
    let version = version.trim_start_matches('v');
    let major = version.split('.').next().unwrap_or(version).to_owned();
    Ok(vec![major, version.to_owned()])
}

pub(super) fn node(kit: &Kit, work: &Work) -> Result<Built> {
    let program = PathBuf::from(ask("node", &["-p", "process.execPath"])?);
    let prefix = program.parent().and_then(Path::parent).context("node has no prefix")?.to_path_buf();
    let tree = work.tree("node")?;
    let local = tree.join("usr/local");
    for folder in ["bin", "lib/node_modules"] {
        std::fs::create_dir_all(local.join(folder)).context("cannot create a folder for Node")?;
    }
    host::run(Command::new("cp").arg("--dereference").arg(&program).arg(local.join("bin/node")))?;
    host::run(
        Command::new("cp")
            .arg("--archive")
            .arg(prefix.join("lib/node_modules/npm"))
            .arg(local.join("lib/node_modules/")),
    )?;
    super::link("../lib/node_modules/npm/bin/npm-cli.js", &local.join("bin/npm"))?;
    super::link("../lib/node_modules/npm/bin/npx-cli.js", &local.join("bin/npx"))?;
    let libraries = libraries_of(&host::run(Command::new("ldd").arg(&program))?);
    for library in libraries {
        host::run(Command::new("cp").arg("--dereference").arg(&library).arg(local.join("lib/")))?;
    }
    let layer = work.pack(&tree, "node", &["--owner=0".into(), "--group=0".into()])?;
    let config = json!({
        "Env": [format!("PATH={}", base::PATH), "LD_LIBRARY_PATH=/usr/local/lib"],
        "Cmd": ["node"],
    });
    Ok((vec![base::debian_layer(kit, work)?, layer], config))
}

pub(super) fn rust_tags() -> Result<Vec<String>> {
    let version = ask("rustc", &["--version"])?;
    let number = version.split_whitespace().nth(1).context("rustc did not say its version")?.to_owned();
    Ok(version_tags(&number, ""))
}

/// Rust without a C linker of its own: it links musl programs with its own `rust-lld`.
pub(super) fn rust(kit: &Kit, work: &Work) -> Result<Built> {
    let root = PathBuf::from(ask("rustc", &["--print", "sysroot"])?);
    let layer = pack_at(work, "rust", &root, "/usr/local", &["./share", "./etc", "./lib/rustlib/src"])?;
    let config =
        json!({"Env": [format!("PATH={}", base::PATH), "CARGO_HOME=/usr/local/cargo"], "Cmd": ["bash"]});
    Ok((vec![base::debian_layer(kit, work)?, layer], config))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_name_the_version_found() {
        assert_eq!(version_tags("1.26.8", "-alpine"), ["1.26-alpine", "1.26.8-alpine", "1-alpine"]);
        assert_eq!(version_tags("3.11", ""), ["3.11", "3"]);
    }

    #[test]
    fn libraries_come_from_the_loader() {
        let listed = "\tlinux-vdso.so.1 (0x1)\n\tlibz.so.1 => /lib/libz.so.1 (0x2)\n\tlibc.so.6 => /lib/libc.so.6 (0x3)\n\
                      \tlibgone.so => not found\n";
        assert_eq!(libraries_of(listed), BTreeSet::from([PathBuf::from("/lib/libz.so.1")]));
    }
}
