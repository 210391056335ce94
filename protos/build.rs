//! Compiles every `.proto` file of this crate with a pure-Rust compiler: no `protoc` is needed.
use std::path::{Path, PathBuf};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut files: Vec<PathBuf> = Vec::new();
    for folder in ["buildkit", "call"] {
        println!("cargo::rerun-if-changed={folder}");
        for entry in std::fs::read_dir(folder)? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "proto") {
                files.push(path);
            }
        }
    }
    files.sort();
    let descriptors = protox::compile(&files, [Path::new("buildkit"), Path::new("call")])?;
    tonic_prost_build::configure()
        .btree_map(".")
        .bytes(".")
        .compile_well_known_types(false)
        .compile_fds(descriptors)?;
    Ok(())
}
