//! `examples/syntax/build.graphql` does what the README says of it.

mod daemon {
    use serde_json::Value;
    use treenail_test_fixtures::kit::workspace;

    use crate::buildx::Buildx;

    #[test]
    fn the_example_builds_an_image_files_and_a_value() {
        let Some(buildx) = Buildx::new() else { return };
        let text =
            std::fs::read_to_string(workspace().join("examples/syntax/build.graphql")).expect("the example");
        let (line, document) = text.split_once('\n').expect("a line that names the frontend");
        assert_eq!(line, "# syntax=treenail.invalid/frontend");
        buildx.document(document);
        buildx.build(&["--build-arg", "name=reader", "-o", "type=local,dest=image"]).succeeded();
        assert_eq!(buildx.read("image/greeting"), "hello, reader\n");
        buildx.build(&["--target", "Words", "-o", "type=local,dest=words"]).succeeded();
        let words = buildx.read("words/words");
        let words: Vec<Vec<&str>> = words.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(words, [["3", "as"], ["2", "not"], ["2", "often"]]);
        buildx.build(&["--target", "System", "--metadata-file", "metadata.json"]).succeeded();
        let metadata: Value = serde_json::from_str(&buildx.read("metadata.json")).expect("JSON");
        let answer = metadata["frontend.result.json"].as_str().expect("an answer");
        assert!(answer.contains("Linux"), "{answer}");
        assert_eq!(buildx.build(&["--check"]).succeeded().code(), Some(0));
    }
}
