//! Rules of the house that are about more than one crate, as ordinary tests.

mod daemon;
mod files;
mod walls;

use std::path::{Path, PathBuf};

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a folder of the workspace").to_path_buf()
}
