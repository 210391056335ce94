//! Where the published SDKs are, and the programs that drive them: the layout of one folder that `cargo xtask test` fills.

use std::path::{Path, PathBuf};

use super::Kit;

/// The folder of the SDKs' programs. What is below it may not be made yet.
///
/// A program is `ci`, the one of `examples/`, or `probe`, the one of the tests.
#[derive(Debug, Clone)]
pub struct Sdks {
    root: PathBuf,
}

impl Sdks {
    /// The folder in a kit.
    #[must_use]
    pub fn of(kit: &Kit) -> Self {
        Self { root: kit.root().join("sdk") }
    }

    /// The folder of that path.
    #[must_use]
    pub fn at(root: PathBuf) -> Self {
        Self { root }
    }

    /// The folder itself.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The module of the Go programs.
    #[must_use]
    pub fn go(&self) -> PathBuf {
        self.root.join("go")
    }

    /// A program of the Go SDK.
    #[must_use]
    pub fn go_program(&self, name: &str) -> PathBuf {
        self.go().join("bin").join(name)
    }

    /// The package of the TypeScript programs.
    #[must_use]
    pub fn typescript(&self) -> PathBuf {
        self.root.join("typescript")
    }

    /// A script of the TypeScript SDK, for `node`.
    #[must_use]
    pub fn typescript_program(&self, name: &str) -> PathBuf {
        self.typescript().join("dist").join(format!("{name}.js"))
    }

    /// The package of the Rust programs, a workspace of its own.
    #[must_use]
    pub fn rust(&self) -> PathBuf {
        self.root.join("rust")
    }

    /// A program of the Rust SDK.
    #[must_use]
    pub fn rust_program(&self, name: &str) -> PathBuf {
        self.rust().join("target/debug").join(name)
    }

    /// A release of the Python SDK without what it depends on, for `PYTHONPATH`.
    #[must_use]
    pub fn python_release(&self, version: &str) -> PathBuf {
        self.root.join("python").join(version)
    }

    /// The source of a published Go module, as a link: the input of the examples.
    #[must_use]
    pub fn source(&self) -> PathBuf {
        self.root.join("source")
    }
}
