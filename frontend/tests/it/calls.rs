//! Questions about a build file: `buildx build --call`.

mod daemon {
    use serde_json::Value;

    use crate::buildx::Buildx;

    const DOCUMENT: &str = r#"
# Builds it.
query Build(
  # Which one.
  $key: String! = "1"
) { cacheVolume(key: $key) { id } }

# Tests it.
query Test { version }
"#;

    #[test]
    fn targets_outline_check_and_describe_are_answered() {
        let Some(buildx) = Buildx::new() else { return };
        buildx.document(DOCUMENT);
        let targets = buildx.build(&["--call=targets"]).succeeded().stdout();
        assert!(targets.contains("Build (default)") && targets.contains("Tests it."), "{targets}");
        let json = buildx.build(&["--call=targets,format=json"]).succeeded().stdout();
        let json: Value = serde_json::from_str(&json).expect("JSON");
        assert_eq!(json["targets"][0]["default"], true, "{json}");

        let outline = buildx.build(&["--call=outline"]).succeeded().stdout();
        assert!(outline.contains("key") && outline.contains("Which one."), "{outline}");
        let check = buildx.build(&["--check"]).succeeded();
        assert_eq!(check.code(), Some(0));
        let described = buildx.build(&["--call=subrequests.describe"]).succeeded().stdout();
        for name in ["targets", "outline", "lint", "subrequests.describe"] {
            assert!(described.contains(name), "{described}");
        }
    }

    #[test]
    fn a_check_of_a_bad_file_fails_with_its_line() {
        let Some(buildx) = Buildx::new() else { return };
        buildx.document("{\n  version\n  nothing\n}\n");
        let check = buildx.build(&["--check"]);
        assert_ne!(check.code(), Some(0));
        let said = format!("{}{}", check.stdout(), check.failed());
        assert!(said.contains("Cannot query field \"nothing\""), "{said}");
    }

    #[test]
    fn a_question_that_is_unknown_is_refused() {
        let Some(buildx) = Buildx::new() else { return };
        buildx.document(DOCUMENT);
        let said = buildx.build(&["--call=plan"]).failed();
        assert!(said.contains("--call=plan is not in this release"), "{said}");
    }
}
