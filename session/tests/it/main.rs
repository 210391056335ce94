//! The session against a scripted daemon over in-memory pipes, and against a real one where there is one.
//!
//! - [`peer`]: the scripted daemon: takes sessions, asks for files, sends exports.
//! - [`patterns`]: the pattern language against answers of the Go module.
//! - [`upload`]: host directories on their way to the daemon.
//! - [`export`]: results on their way back.
//! - [`helper`]: credential helpers.
//! - [`life`]: opening, healing, losing.
//! - [`daemon`]: a stock buildkitd.

mod daemon;
mod export;
mod helper;
mod life;
mod patterns;
mod peer;
mod upload;

#[test]
fn every_file_is_a_module() {
    let index = include_str!("main.rs");
    for entry in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it")).expect("the folder") {
        let name = entry.expect("an entry").file_name().into_string().expect("a name");
        let module = name.trim_end_matches(".rs");
        assert!(module == "main" || index.contains(&format!("mod {module};")), "{name} is not in main.rs");
    }
}
