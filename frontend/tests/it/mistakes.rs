//! What is refused or fails, and which lines of the build file are shown for it.
//!
//! The first line of each file names the frontend, so the first line of a document here is line 2.

mod daemon {
    use crate::buildx::{Buildx, nonce};

    #[test]
    fn a_failing_command_shows_its_lines() {
        let Some(buildx) = Buildx::new() else { return };
        buildx.document(
            r#"query($nonce: String!) {
  container {
    from(address: "alpine:3.22") {
      withEnvVariable(name: "NONCE", value: $nonce) {
        withExec(args: ["true"]) {
          withExec(
            args: ["sh", "-c", "echo broken >&2; exit 3"]
          ) {
            withExec(args: ["true"]) { id }
          }
        }
      }
    }
  }
}
"#,
        );
        let built = buildx.build(&["--build-arg", &format!("nonce={}", nonce())]);
        let said = built.failed();
        assert!(said.contains("the command `sh -c echo broken >&2; exit 3` failed: exit code: 3"), "{said}");
        assert!(said.contains("build.graphql:7"), "{said}");
        assert_eq!(built.guilty_lines(), [7, 8, 9], "{said}");
    }

    #[test]
    fn a_failing_file_operation_and_a_missing_image_show_their_lines() {
        let Some(buildx) = Buildx::new() else { return };
        buildx.document(
            r#"query Copy {
  directory {
    withNewFile(path: "file", contents: "x") {
      withNewFile(path: "file/below", contents: "x") {
        id
      }
    }
  }
}
query Image {
  container {
    from(address: "127.0.0.1:1/none:1") { id }
  }
}
"#,
        );
        let copy = buildx.build(&["--target", "Copy"]);
        let lines = copy.guilty_lines();
        assert!(lines.contains(&5), "{lines:?} {}", copy.failed());
        let image = buildx.build(&["--target", "Image"]);
        assert_eq!(image.guilty_lines(), [13], "{}", image.failed());
    }

    #[test]
    fn bad_documents_show_the_line() {
        let Some(buildx) = Buildx::new() else { return };
        let cases: &[(&str, &[&str], &str, &[usize])] = &[
            ("{\n  container {\n", &[], "Expected Name, found <EOF>", &[4]),
            ("{\n  container { fro(address: \"x\") { id } }\n}\n", &[], "Cannot query field \"fro\"", &[3]),
            (
                "query A { version }\nquery B { version }\n",
                &["--target", "C"],
                "no such target: \"C\", there are: A, B",
                &[2, 3],
            ),
            (
                "query(\n  $key: String!\n) { cacheVolume(key: $key) { id } }\n",
                &[],
                "the variable $key has no value: give --build-arg key=VALUE (String!)",
                &[3],
            ),
            (
                "query($port: Int!) { container { withExposedPort(port: $port) { id } } }\n",
                &["--build-arg", "port=many"],
                "--build-arg port=\"many\" is no Int!",
                &[2],
            ),
            (
                "{\n  container { id }\n  directory { id }\n}\n",
                &[],
                "a build has one result, and the operation asks for several",
                &[3, 4],
            ),
        ];
        for (document, arguments, message, lines) in cases {
            buildx.document(document);
            let built = buildx.build(arguments);
            let said = built.failed();
            assert!(said.contains(message), "{document}: {said}");
            assert_eq!(built.guilty_lines(), *lines, "{document}: {said}");
        }
    }

    #[test]
    fn what_has_no_meaning_in_a_build_says_what_to_do() {
        let Some(buildx) = Buildx::new() else { return };
        let cases = [
            (
                "{\n  setSecret(name: \"a\", plaintext: \"b\") { id }\n}\n",
                "Query.setSecret is not supported: a build knows the secrets that buildx passes",
            ),
            (
                "{\n  container { publish(address: \"x\") }\n}\n",
                "Container.publish is not supported: a build has one result, which buildx exports",
            ),
            (
                "{\n  host { findUp(name: \"x\") }\n}\n",
                "Host.findUp is not supported: a build sees its build context",
            ),
        ];
        for (document, message) in cases {
            buildx.document(document);
            let built = buildx.build(&[]);
            assert!(built.failed().contains(message), "{}", built.failed());
            assert_eq!(built.guilty_lines(), [3]);
        }
        buildx.document("{ version }\n");
        for (flags, message) in [
            (&["--add-host", "a=1.2.3.4"][..], "--add-host is not in this release of the frontend"),
            (&["--platform", "linux/amd64,linux/arm64"], "--platform with more than one platform is not in"),
            (&["--build-context", "src=."], "--build-context src=local:src is not in this release"),
        ] {
            let said = buildx.build(flags).failed();
            assert!(said.contains(message), "{said}");
        }
    }

    #[test]
    fn an_argument_without_a_variable_is_warned_of() {
        let Some(buildx) = Buildx::new() else { return };
        buildx.document("{ version }\n");
        let built = buildx.build(&["--build-arg", "nobody=1", "--build-arg", "HTTP_PROXY="]).succeeded();
        let warnings: Vec<String> = built
            .progress()
            .iter()
            .flat_map(|event| event["warnings"].as_array().cloned().unwrap_or_default())
            .map(|warning| warning.to_string())
            .collect();
        assert_eq!(warnings.len(), 1, "{warnings:?}");
    }

    #[test]
    fn a_build_file_that_is_not_there_is_an_error() {
        let Some(buildx) = Buildx::new() else { return };
        buildx.document("{ version }\n");
        // The line that names the frontend is in another file than the one that is asked for.
        let said = buildx.build(&[
            "--build-arg",
            "BUILDKIT_SYNTAX=treenail.invalid/frontend:test",
            "-f",
            "context/no",
        ]);
        assert!(said.failed().contains("there is no build file no"), "{}", said.failed());
    }
}
