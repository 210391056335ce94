//! Cases about bytes: host folders in, files out.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use treenail_llb::{CopyAction, Local, OpOptions, Output};

use super::measure::{Measured, in_turns};
use super::session::{Phases, whole};
use super::{Aim, Bench, Case, peer};

pub(super) const ALL: &[Case] = &[
    Case { name: "10 000 small files, new", aim: Aim::Ratio(1.1), measure: files_new },
    Case { name: "10 000 small files, unchanged", aim: Aim::Ratio(1.1), measure: files_unchanged },
    Case { name: "10 000 small files, one changed", aim: Aim::Ratio(1.1), measure: files_one_changed },
    Case { name: "export of 100 MB", aim: Aim::Ratio(1.1), measure: export },
];

const FOLDERS: usize = 100;
const FILES_EACH: usize = 100;

const EXPORT_FILES: u64 = 100;
const EXPORT_FILE_BYTES: u64 = 1_000_000;

/// A tree of small files whose contents nobody had before.
fn make_tree(bench: &Bench) -> Result<PathBuf> {
    let salt = bench.salt();
    let tree = bench.scratch.path().join(&salt);
    for folder in 0..FOLDERS {
        let path = tree.join(format!("d{folder}"));
        fs::create_dir_all(&path).context("cannot create a folder")?;
        for file in 0..FILES_EACH {
            let text = format!("{salt} {folder} {file}\n");
            fs::write(path.join(format!("f{file}")), text).context("cannot write a file")?;
        }
    }
    Ok(tree)
}

fn remove(tree: &Path) -> Result<()> {
    fs::remove_dir_all(tree).context("cannot remove a folder")
}

/// The document that uploads a tree.
fn document(tree: &Path) -> String {
    format!("{{host{{directory(path:\"{}\"){{sync}}}}}}", tree.display())
}

/// An uploaded folder behind a copy, which is what makes later work on it a cache hit.
pub(super) fn uploaded(name: &str) -> Output {
    let local = Local::new(name).output(OpOptions::default());
    Output::file(None::<Output>, CopyAction::new(local, "/", "/"), OpOptions::default())
}

/// The build that uploads a tree as `name`; the daemon keeps what it had under a name to send only differences.
fn build(bench: &Bench, name: &str, tree: &Path) -> Result<peer::Build> {
    peer::Build::new(bench, &uploaded(name), &["--local".into(), format!("{name}={}", tree.display())])
}

fn files_new(bench: &Bench) -> Result<Measured> {
    let mut phases = Vec::new();
    let times = in_turns(
        bench.rounds,
        |_| {
            let tree = make_tree(bench)?;
            let took = whole(bench, "10 000 files new", &document(&tree))?;
            phases.push(took);
            remove(&tree)?;
            Ok(took.total())
        },
        |_| {
            let tree = make_tree(bench)?;
            let took = build(bench, &bench.salt(), &tree)?.run()?;
            remove(&tree)?;
            Ok(took)
        },
    )?;
    Ok(Measured::pair(&times).with_note(Phases::note(&phases)))
}

fn files_unchanged(bench: &Bench) -> Result<Measured> {
    files_again(bench, "10 000 files unchanged", |_, _| Ok(()))
}

fn files_one_changed(bench: &Bench) -> Result<Measured> {
    files_again(bench, "10 000 files, one changed", |tree, round| {
        // Another size each time, so that neither side needs to be clever.
        fs::write(tree.join("d0/f0"), format!("{} round {round}", "x".repeat(round)))
            .context("cannot write a file")
    })
}

/// Each side uploads a tree of its own over and over; the first time is not measured.
fn files_again(bench: &Bench, what: &str, change: impl Fn(&Path, usize) -> Result<()>) -> Result<Measured> {
    let (our_tree, their_tree) = (make_tree(bench)?, make_tree(bench)?);
    let document = document(&our_tree);
    let build = build(bench, &bench.salt(), &their_tree)?;
    whole(bench, what, &document)?;
    build.run()?;
    let mut phases = Vec::new();
    let times = in_turns(
        bench.rounds,
        |round| {
            change(&our_tree, round)?;
            let took = whole(bench, what, &document)?;
            phases.push(took);
            Ok(took.total())
        },
        |round| {
            change(&their_tree, round)?;
            build.run()
        },
    )?;
    remove(&our_tree)?;
    remove(&their_tree)?;
    Ok(Measured::pair(&times).with_note(Phases::note(&phases)))
}

/// A folder that is in the daemon's cache, written to a new folder of ours each time.
fn export(bench: &Bench) -> Result<Measured> {
    let script = format!(
        "mkdir /big; for i in $(seq {EXPORT_FILES}); do \
         head -c {EXPORT_FILE_BYTES} /dev/urandom > /big/$i; done; echo {}",
        bench.salt()
    );
    let made = peer::shell(peer::base(), &script)?;
    let copied = CopyAction::new(made, "/big", "/");
    let only =
        Output::file(None::<Output>, CopyAction { dir_contents_only: true, ..copied }, OpOptions::default());
    let mut phases = Vec::new();
    let mut ours = |_| {
        let target = bench.scratch.path().join(bench.salt());
        let query = format!(
            "{{container{{from(address:\"{}\"){{withExec(args:[\"/bin/sh\",\"-c\",\"{script}\"]){{\
             directory(path:\"/big\"){{export(path:\"{}\")}}}}}}}}}}",
            peer::IMAGE,
            target.display()
        );
        let took = whole(bench, "export of 100 MB", &query)?;
        check_export(&target)?;
        phases.push(took);
        Ok(took.total())
    };
    let theirs = |_| {
        let target = bench.scratch.path().join(bench.salt());
        let output = format!("type=local,dest={}", target.display());
        let took = peer::Build::new(bench, &only, &["--output".into(), output])?.run()?;
        check_export(&target)?;
        Ok(took)
    };
    ours(0)?;
    theirs(0)?;
    let times = in_turns(bench.rounds, ours, theirs)?;
    phases.remove(0);
    Ok(Measured::pair(&times).with_note(Phases::note(&phases)))
}

/// Fails unless everything has arrived, and makes room again.
fn check_export(target: &Path) -> Result<()> {
    let mut bytes = 0;
    for entry in fs::read_dir(target).context("cannot read the export")? {
        bytes += entry.and_then(|entry| entry.metadata()).context("cannot read the export")?.len();
    }
    anyhow::ensure!(bytes == EXPORT_FILES * EXPORT_FILE_BYTES, "the export has {bytes} bytes");
    remove(target)
}
