//! buildx with a builder of its own and the frontend as an OCI layout.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::Value;
use treenail_test_fixtures::kit::frontend::{self, Build};
use treenail_test_fixtures::kit::{Kit, silent};
use treenail_test_fixtures::shared;

/// A name that no registry has: the layout is put in its place.
pub(crate) const NAME: &str = "treenail.invalid/frontend:test";

/// The frontend's image as a layout.
pub(crate) struct Layout {
    folder: PathBuf,
    digest: String,
}

/// The layout that this run was given, or one made now; once a process.
fn layout() -> &'static Layout {
    static LAYOUT: OnceLock<Layout> = OnceLock::new();
    LAYOUT.get_or_init(|| {
        let folder = std::env::var_os(shared::FRONTEND).map(PathBuf::from).unwrap_or_else(|| {
            let kit = Kit::open(silent()).expect("the kit's folder");
            let image = frontend::make(&kit, Build::Development).expect("the frontend's image");
            let folder = kit.root().join("frontend");
            image.write_layout(&folder).expect("a layout");
            folder
        });
        let index = std::fs::read(folder.join("index.json")).expect("a layout has an index");
        let index: Value = serde_json::from_slice(&index).expect("JSON");
        let digest = index["manifests"][0]["digest"].as_str().expect("a digest").to_owned();
        Layout { folder, digest }
    })
}

/// A text that no other call gets.
pub(crate) fn nonce() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
    format!("{}-{}-{}", std::process::id(), now.as_nanos(), COUNT.fetch_add(1, Ordering::Relaxed))
}

/// A folder to build in, and buildx with one builder.
pub(crate) struct Buildx {
    program: PathBuf,
    folder: tempfile::TempDir,
}

impl Buildx {
    /// A builder on the daemon of this run; nothing where the run has none.
    pub(crate) fn new() -> Option<Self> {
        let daemon = treenail_test_fixtures::daemon()?;
        Self::on(daemon.address())
    }

    /// A builder on any daemon.
    pub(crate) fn on(address: &str) -> Option<Self> {
        let program = treenail_test_fixtures::buildx()?;
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(folder.path().join("context")).expect("a folder");
        let buildx = Self { program, folder };
        let created = buildx.run(&["create", "--name", "tests", "--driver", "remote", "--use", address]);
        assert!(created.status.success(), "{}", String::from_utf8_lossy(&created.stderr));
        Some(buildx)
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Writes a file of the build context.
    pub(crate) fn write(&self, path: &str, text: &str) {
        let path = self.folder.path().join("context").join(path);
        std::fs::create_dir_all(path.parent().expect("a file has a folder")).expect("a folder");
        std::fs::write(path, text).expect("written");
    }

    /// Writes the build file, below the line that names the frontend.
    pub(crate) fn document(&self, text: &str) {
        self.write("build.graphql", &format!("# syntax={NAME}\n{text}"));
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        Command::new(&self.program)
            .args(arguments)
            .current_dir(self.folder.path())
            .env("BUILDX_CONFIG", self.folder.path().join("buildx"))
            .env("DOCKER_CONFIG", self.folder.path().join("docker"))
            .env_remove("BUILDX_BUILDER")
            .env_remove("SOURCE_DATE_EPOCH")
            .env("BUILDX_NO_DEFAULT_ATTESTATIONS", "1")
            .stdin(Stdio::null())
            .output()
            .expect("buildx starts")
    }

    /// Builds the context with further arguments, the layout standing for the frontend's name.
    pub(crate) fn build(&self, arguments: &[&str]) -> Built {
        let layout = layout();
        let named = format!("{NAME}=oci-layout://{}@{}", layout.folder.display(), layout.digest);
        let mut all =
            vec!["build", "--progress=rawjson", "--build-context", &named, "-f", "context/build.graphql"];
        all.extend(arguments);
        all.push("context");
        Built(self.run(&all))
    }

    /// The same, for a build file whose own line finds the frontend.
    pub(crate) fn build_plain(&self, arguments: &[&str]) -> Built {
        let mut all = vec!["build", "--progress=rawjson", "-f", "context/build.graphql"];
        all.extend(arguments);
        all.push("context");
        Built(self.run(&all))
    }

    /// The text of a file below the folder.
    pub(crate) fn read(&self, path: &str) -> String {
        std::fs::read_to_string(self.folder.path().join(path)).expect("a file")
    }
}

/// A build that has ended.
pub(crate) struct Built(Output);

/// A step as the daemon told of it.
#[derive(Debug, Default)]
pub(crate) struct Step {
    pub(crate) completed: bool,
    pub(crate) cached: bool,
}

impl Built {
    #[track_caller]
    pub(crate) fn succeeded(self) -> Self {
        assert!(self.0.status.success(), "{}", self.error());
        self
    }

    /// What was said besides progress; of a build that failed.
    #[track_caller]
    pub(crate) fn failed(&self) -> String {
        assert!(!self.0.status.success(), "the build did not fail: {}", self.error());
        self.error()
    }

    pub(crate) fn stdout(&self) -> String {
        String::from_utf8_lossy(&self.0.stdout).into_owned()
    }

    pub(crate) fn code(&self) -> Option<i32> {
        self.0.status.code()
    }

    fn error(&self) -> String {
        let text = String::from_utf8_lossy(&self.0.stderr);
        text.lines().filter(|line| !line.starts_with('{')).collect::<Vec<_>>().join("\n")
    }

    /// The progress as it came.
    pub(crate) fn progress(&self) -> Vec<Value> {
        let text = String::from_utf8_lossy(&self.0.stderr);
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// Steps by name.
    pub(crate) fn steps(&self) -> BTreeMap<String, Step> {
        let mut steps: BTreeMap<String, Step> = BTreeMap::new();
        for event in self.progress() {
            for vertex in event["vertexes"].as_array().into_iter().flatten() {
                let step = steps.entry(vertex["name"].as_str().unwrap_or_default().to_owned()).or_default();
                step.completed |= !vertex["completed"].is_null();
                step.cached |= vertex["cached"] == true;
            }
        }
        steps
    }

    /// Names of the commands that ran.
    pub(crate) fn commands_run(&self) -> Vec<String> {
        let ran = |(name, step): (String, Step)| {
            (name.starts_with("withExec") && step.completed && !step.cached).then_some(name)
        };
        self.steps().into_iter().filter_map(ran).collect()
    }

    /// The lines of the build file that are marked as guilty.
    #[track_caller]
    pub(crate) fn guilty_lines(&self) -> Vec<usize> {
        let text = self.failed();
        text.lines()
            .filter(|line| line.contains("| >>>"))
            .filter_map(|line| line.split('|').next()?.trim().parse().ok())
            .collect()
    }
}
