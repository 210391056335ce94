//! Contents given in a call that are too large for a definition.

mod daemon {
    use serde_json::json;

    use crate::service::Service;

    /// Sizes on both sides of what stands in a definition, and one that no message to the daemon could hold.
    const SIZES: [usize; 3] = [64 << 10, (64 << 10) + 1, 20_000_000];

    #[test]
    fn large_contents_arrive_whole_and_are_known_again() {
        let Some(daemon) = treenail_test_fixtures::daemon() else { return };
        let workdir = tempfile::tempdir().expect("a working directory");
        // The second session has to find what the first one brought.
        for _ in 0..2 {
            let service = Service::start(daemon, workdir.path());
            for size in SIZES {
                let contents: String = (0..size).map(|at| char::from(b'a' + (at % 23) as u8)).collect();
                let query = "query($c: String!) {
                    directory { withNewFile(path: \"d/f\", contents: $c, permissions: 384) {
                        entries(path: \"d\") file(path: \"d/f\") { contents stat { permissions size } } } }
                    file(name: \"n\", contents: $c) { name size }
                    container { from(address: \"alpine:3.20\") {
                        withNewFile(path: \"/w/f\", contents: $c, owner: \"daemon\") {
                            withExec(args: [\"sh\", \"-c\", \"stat -c %u:%g:%a:%s /w/f; md5sum < /w/f\"]) { stdout } } } }
                }";
                let answer = service.post(&json!({ "query": query, "variables": { "c": contents } })).json();
                assert!(answer.get("errors").is_none(), "{size}: {}", answer["errors"]);
                let data = &answer["data"];
                let directory = &data["directory"]["withNewFile"];
                assert_eq!(directory["entries"], json!(["f"]));
                assert!(directory["file"]["contents"] == contents.as_str(), "{size}");
                assert_eq!(directory["file"]["stat"], json!({ "permissions": 0o600, "size": size }));
                assert_eq!(data["file"], json!({ "name": "n", "size": size }));
                let seen = data["container"]["from"]["withNewFile"]["withExec"]["stdout"]
                    .as_str()
                    .unwrap_or_default();
                assert!(seen.starts_with(&format!("2:2:644:{size}\n")), "{seen}");
            }
        }
    }
}
