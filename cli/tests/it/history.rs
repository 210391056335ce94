//! Side by side with buildx on one daemon: the history that both see, and the cache that both fill.

mod daemon {
    use std::path::{Path, PathBuf};
    use std::process::{Command, Output, Stdio};

    use serde_json::{Value, json};
    use treenail_test_fixtures::TestDaemon;

    use crate::notation::{Values, text};
    use crate::service::{Service, nonce};

    /// buildx with the daemon as its builder.
    struct Buildx {
        program: PathBuf,
        folder: tempfile::TempDir,
    }

    impl Buildx {
        fn on(daemon: &TestDaemon) -> Option<Self> {
            let program = treenail_test_fixtures::buildx()?;
            let buildx = Self { program, folder: tempfile::tempdir().expect("a folder") };
            buildx.run(&["create", "--name", "tests", "--driver", "remote", "--use", daemon.address()]);
            Some(buildx)
        }

        fn run(&self, arguments: &[&str]) -> Output {
            let output = Command::new(&self.program)
                .args(arguments)
                .current_dir(self.folder.path())
                .env("BUILDX_CONFIG", self.folder.path().join("buildx"))
                .env("DOCKER_CONFIG", self.folder.path().join("docker"))
                .env_remove("BUILDX_BUILDER")
                .stdin(Stdio::null())
                .output()
                .expect("buildx starts");
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            output
        }

        /// Names of the records, the newest first.
        fn history(&self) -> Vec<String> {
            let listed = self.run(&["history", "ls", "--format", "json", "--no-trunc"]).stdout;
            String::from_utf8_lossy(&listed)
                .lines()
                .map(|line| {
                    serde_json::from_str::<Value>(line).expect("JSON")["name"]
                        .as_str()
                        .expect("a name")
                        .to_owned()
                })
                .collect()
        }

        /// Builds a folder and answers a file of the result.
        fn build(&self, context: &Path, file: &str) -> String {
            self.run(&["build", "--output", "type=local,dest=out", &context.to_string_lossy()]);
            std::fs::read_to_string(self.folder.path().join("out").join(file)).expect("a file")
        }
    }

    #[test]
    fn a_session_is_one_record_that_says_which_pipeline_it_was() {
        let Some(daemon) = treenail_test_fixtures::daemon() else { return };
        let Some(buildx) = Buildx::on(daemon) else { return };
        let folder = tempfile::tempdir().expect("a folder");
        let script = format!("ci-{}.sh", nonce());
        std::fs::write(folder.path().join(&script), "\"$1\" query --doc q.graphql --progress plain\n")
            .expect("written");
        let query = format!(
            "{{container{{from(address: \"alpine:3.20\"){{withExec(args: [\"echo\", \"{script}\"]){{sync}}}}}}}}"
        );
        std::fs::write(folder.path().join("q.graphql"), query).expect("written");
        let program = env!("CARGO_BIN_EXE_treenail");
        let status = Command::new(program)
            .args(["run", "--", "/bin/sh", &script, program, "--token", "hidden"])
            .current_dir(folder.path())
            .env("BUILDKIT_HOST", daemon.address())
            .status()
            .expect("it starts");
        assert!(status.success(), "{status}");
        let service = Service::start(daemon, folder.path());
        drop(service);

        let names = buildx.history();
        let mine: Vec<_> = names.iter().filter(|name| name.contains(&script)).collect();
        assert_eq!(mine.len(), 1, "{names:?}");
        assert!(mine[0].starts_with(&format!("treenail run sh {script}")), "{mine:?}");
        assert!(names.iter().all(|name| !name.contains("hidden")), "{names:?}");
        let own = folder.path().file_name().expect("a name").to_string_lossy();
        assert!(names.contains(&format!("treenail session in {own}")), "{names:?}");
    }

    /// A Dockerfile whose commands give another answer each time they really run.
    fn context(word: &str) -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a folder");
        let write = |path: &str, contents: &str| {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
            std::fs::write(path, contents).expect("written");
        };
        let file = format!(
            "FROM alpine:3.22\nWORKDIR /src\nCOPY sub/ sub/\nRUN cat /proc/sys/kernel/random/uuid > /first; echo {word}\n\
             COPY . .\nRUN --mount=type=bind,target=/context cat /proc/sys/kernel/random/uuid /first > /ids; ls /context\n"
        );
        write("Dockerfile", &file);
        write(".dockerignore", "ignored\n");
        write("ignored", word);
        write("sub/file", "content");
        std::os::unix::fs::symlink("file", folder.path().join("sub/link")).expect("made");
        folder
    }

    fn built_here(service: &Service) -> String {
        let chain = "host.directory(path: \".\").dockerBuild.file(path: \"/ids\").contents";
        text(service, chain, &Values::default())
    }

    #[test]
    fn a_dockerfile_is_built_once_whoever_builds_it() {
        let Some(daemon) = treenail_test_fixtures::daemon() else { return };
        let Some(buildx) = Buildx::on(daemon) else { return };
        let theirs_first = context(&nonce());
        let theirs = buildx.build(theirs_first.path(), "ids");
        assert_eq!(json!(theirs.lines().count()), 2);
        assert_eq!(built_here(&Service::start(daemon, theirs_first.path())), theirs);

        let ours_first = context(&nonce());
        let ours = built_here(&Service::start(daemon, ours_first.path()));
        assert_ne!(ours, theirs);
        assert_eq!(buildx.build(ours_first.path(), "ids"), ours);
    }
}
