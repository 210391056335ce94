//! Cases about bytes: host folders in, files out.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use treenail_llb::{CopyAction, Local, OpOptions, Output};

use super::{Aim, Bench, Case, Measured, in_turns, peer, salt, timed};

pub(super) const ALL: &[Case] = &[
    Case { name: "10 000 small files, new", aim: Aim::Ratio(1.1), measure: files_new },
    Case { name: "10 000 small files, unchanged", aim: Aim::Ratio(1.1), measure: files_unchanged },
    Case { name: "10 000 small files, one changed", aim: Aim::Ratio(1.1), measure: files_one_changed },
    Case { name: "export of 100 MB", aim: Aim::Ratio(1.1), measure: export },
];

const FOLDERS: usize = 100;
const FILES_EACH: usize = 100;
const EXPORT_BYTES: usize = 100_000_000;

/// A tree of small files whose contents nobody had before.
fn make_tree(bench: &Bench, name: &str) -> Result<PathBuf> {
    let tree = bench.scratch.path().join(name);
    for folder in 0..FOLDERS {
        let path = tree.join(format!("d{folder}"));
        fs::create_dir_all(&path).context("cannot create a folder")?;
        for file in 0..FILES_EACH {
            let text = format!("{} {name} {folder} {file}\n", salt(bench));
            fs::write(path.join(format!("f{file}")), text).context("cannot write a file")?;
        }
    }
    Ok(tree)
}

/// A tree that both sides upload, each its own.
struct Pair {
    ours: PathBuf,
    theirs: PathBuf,
}

impl Pair {
    fn new(bench: &Bench, name: &str) -> Result<Self> {
        Ok(Self {
            ours: make_tree(bench, &format!("{name}-ours"))?,
            theirs: make_tree(bench, &format!("{name}-theirs"))?,
        })
    }

    /// Uploads in turns; `before` is given each tree and the number of its round before its clock starts.
    fn upload(
        &self,
        bench: &Bench,
        warm: bool,
        rounds: usize,
        before: impl Fn(&Path, usize) -> Result<()>,
    ) -> Result<Measured> {
        let document = bench.scratch.path().join("upload.graphql");
        let query = format!("{{host{{directory(path:\"{}\"){{sync}}}}}}", self.ours.display());
        fs::write(&document, query).context("cannot write a document")?;
        let mut build =
            peer::build(bench, &uploaded(), &["--local".into(), format!("tree={}", self.theirs.display())])?;
        let (mut our_round, mut their_round) = (0, 0);
        let mut ours = || {
            our_round += 1;
            before(&self.ours, our_round)?;
            timed(&mut bench.treenail(&["query", "--doc", &document.to_string_lossy()]))
        };
        let mut theirs = || {
            their_round += 1;
            before(&self.theirs, their_round)?;
            timed(&mut build()?)
        };
        if warm {
            ours()?;
            theirs()?;
        }
        in_turns(rounds, ours, theirs)
    }
}

/// An uploaded folder behind a copy, which is what makes later work on it a cache hit.
pub(super) fn uploaded() -> Output {
    let local = Local::new("tree").output(OpOptions::default());
    Output::file(None::<Output>, CopyAction::new(local, "/", "/"), OpOptions::default())
}

fn files_new(bench: &Bench) -> Result<Measured> {
    Pair::new(bench, "new")?.upload(bench, false, 1, |_, _| Ok(()))
}

fn files_unchanged(bench: &Bench) -> Result<Measured> {
    Pair::new(bench, "unchanged")?.upload(bench, true, 5, |_, _| Ok(()))
}

fn files_one_changed(bench: &Bench) -> Result<Measured> {
    Pair::new(bench, "changed")?.upload(bench, true, 5, |tree, round| {
        fs::write(tree.join("d0/f0"), format!("{} round {round}", "x".repeat(round)))
            .context("cannot write a file")
    })
}

/// A big file that is in the cache of both sides, written to a folder of ours.
fn export(bench: &Bench) -> Result<Measured> {
    let script = format!("head -c {EXPORT_BYTES} /dev/urandom > /big; echo {}", salt(bench));
    let target = bench.scratch.path().join("export");
    fs::create_dir_all(&target).context("cannot create a folder")?;
    let document = bench.scratch.path().join("export.graphql");
    let query = format!(
        "{{container{{from(address:\"{}\"){{withExec(args:[\"sh\",\"-c\",\"{script}\"]){{\
         file(path:\"/big\"){{export(path:\"{}\")}}}}}}}}}}",
        peer::IMAGE,
        target.join("ours").display()
    );
    fs::write(&document, query).context("cannot write a document")?;
    let made = peer::shell(peer::base(), &script)?;
    let only = Output::file(None::<Output>, CopyAction::new(made, "/big", "/big"), OpOptions::default());
    let output = format!("type=local,dest={}", target.join("theirs").display());
    let mut build = peer::build(bench, &only, &["--output".into(), output])?;
    let ours = || timed(&mut bench.treenail(&["query", "--doc", &document.to_string_lossy()]));
    let mut theirs = || timed(&mut build()?);
    ours()?;
    theirs()?;
    in_turns(3, ours, theirs)
}
