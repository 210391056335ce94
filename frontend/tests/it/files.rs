//! Build contexts in, files and values out.

mod daemon {
    use crate::buildx::Buildx;

    #[test]
    fn a_directory_and_a_file_are_results() {
        let Some(buildx) = Buildx::new() else { return };
        buildx.document(
            r#"
query Tree { directory { withNewFile(path: "a/b", contents: "in a tree") { directory(path: "a") { id } } } }
query One { container { from(address: "alpine:3.22") { file(path: "/etc/os-release") { sync } } } }
query Nothing { directory { id } }
"#,
        );
        buildx.build(&["-o", "type=local,dest=tree"]).succeeded();
        assert_eq!(buildx.read("tree/b"), "in a tree");
        buildx.build(&["--target", "One", "-o", "type=local,dest=one"]).succeeded();
        assert!(buildx.read("one/os-release").contains("NAME="));
        assert_eq!(std::fs::read_dir(buildx.folder().join("one")).expect("a folder").count(), 1);
        buildx.build(&["--target", "Nothing", "-o", "type=local,dest=nothing"]).succeeded();
        assert_eq!(std::fs::read_dir(buildx.folder().join("nothing")).expect("a folder").count(), 0);
    }

    #[test]
    fn the_build_context_is_the_host_without_what_it_ignores() {
        let Some(buildx) = Buildx::new() else { return };
        buildx.document(
            r#"
query All { host { directory(path: ".") { id } } }
query Below { host { directory(path: "/src/./lib", exclude: ["*.tmp"]) { id } } }
query Up { host { directory(path: "../secrets") { id } } }
query Missing { host { directory(path: "nothing") { id } } }
"#,
        );
        buildx.write(".dockerignore", "# not these\n*.log\nsrc/**/private\n!kept.log\n");
        for path in ["x.log", "kept.log", "src/lib/code", "src/lib/scrap.tmp", "src/lib/private", "other"] {
            buildx.write(path, path);
        }
        let names = |folder: &str| {
            let mut names: Vec<String> = std::fs::read_dir(buildx.folder().join(folder))
                .expect("a folder")
                .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
                .collect();
            names.sort();
            names
        };
        buildx.build(&["-o", "type=local,dest=all"]).succeeded();
        assert_eq!(names("all"), [".dockerignore", "build.graphql", "kept.log", "other", "src"]);
        assert_eq!(names("all/src/lib"), ["code", "scrap.tmp"]);
        buildx.build(&["--target", "Below", "-o", "type=local,dest=below"]).succeeded();
        assert_eq!(names("below"), ["code"]);

        // The file beside the build file goes first.
        buildx.write("build.graphql.dockerignore", "src\nbuild.graphql*\n.dockerignore\n");
        buildx.build(&["-o", "type=local,dest=again"]).succeeded();
        assert_eq!(names("again"), ["kept.log", "other", "x.log"]);

        let outside = buildx.build(&["--target", "Up"]);
        assert!(
            outside.failed().contains("../secrets is outside of the build context"),
            "{}",
            outside.failed()
        );
        assert_eq!(outside.guilty_lines(), [5]);
        let missing = buildx.build(&["--target", "Missing"]);
        assert!(missing.failed().contains("nothing: no such file or directory"), "{}", missing.failed());
        assert_eq!(missing.guilty_lines(), [6]);
    }

    #[test]
    fn a_changed_context_is_noticed_and_an_unchanged_one_cached() {
        let Some(buildx) = Buildx::new() else { return };
        buildx.document(
            r#"
query($dir: DirectoryID) {
  host { directory(path: ".", include: ["input"]) { file(path: "input") { contents } } }
  directory { withDirectory(path: "/", source: $dir) { entries } }
}
"#,
        );
        // No address stands for an ID in this release: it says so before anything runs.
        let refused = buildx.build(&["--build-arg", "dir=context:src"]);
        assert!(refused.failed().contains("dir"), "{}", refused.failed());

        buildx.document("{ host { directory(path: \".\", include: [\"input\"]) { file(path: \"input\") { contents } } } }");
        for text in ["one", "two"] {
            buildx.write("input", text);
            buildx.build(&["--metadata-file", "metadata.json"]).succeeded();
            let metadata: serde_json::Value =
                serde_json::from_str(&buildx.read("metadata.json")).expect("JSON");
            let answer = metadata["frontend.result.json"].as_str().expect("an answer");
            assert_eq!(answer, format!(r#"{{"host":{{"directory":{{"file":{{"contents":"{text}"}}}}}}}}"#));
        }
    }
}
