//! Images out of a build.

mod daemon {
    use serde_json::Value;
    use treenail_test_fixtures::kit::buildkitd::{Daemon, Options};
    use treenail_test_fixtures::kit::frontend::{self, Build};
    use treenail_test_fixtures::kit::{Kit, silent};

    use crate::buildx::{Buildx, nonce};

    const THREE_STEPS: &str = r#"
# Writes what it is told.
query Build($nonce: String!, $words: String! = "nobody") {
  container {
    from(address: "alpine:3.22") {
      withEnvVariable(name: "NONCE", value: $nonce) {
        withExec(args: ["sh", "-c", "cat /proc/sys/kernel/random/uuid > /uuid"]) {
          withNewFile(path: "/words", contents: $words) {
            withExec(args: ["sh", "-c", "cp /words /copied"]) {
              withExec(args: ["test", "-s", "/uuid"]) {
                withWorkdir(path: "/w") { withUser(name: "1:2") {
                  withEntrypoint(args: ["cat", "/copied"]) { withLabel(name: "own", value: "1") { id } }
                } }
              }
            }
          }
        }
      }
    }
  }
}
"#;

    fn archive(buildx: &Buildx, name: &str) -> impl Fn(&str) -> Value {
        let folder = buildx.folder().join(format!("{name}.unpacked"));
        std::fs::create_dir(&folder).expect("a folder");
        let unpacked = std::process::Command::new("tar")
            .arg("-xf")
            .arg(buildx.folder().join(name))
            .arg("-C")
            .arg(&folder)
            .status()
            .expect("tar starts");
        assert!(unpacked.success());
        move |path: &str| {
            let path = match path.strip_prefix("sha256:") {
                Some(digest) => format!("blobs/sha256/{digest}"),
                None => path.to_owned(),
            };
            serde_json::from_slice(&std::fs::read(folder.join(path)).expect("a blob")).expect("JSON")
        }
    }

    #[test]
    fn an_image_has_the_configuration_and_the_second_build_runs_nothing() {
        let Some(buildx) = Buildx::new() else { return };
        buildx.document(THREE_STEPS);
        let nonce = format!("nonce={}", nonce());
        let arguments = [
            "--build-arg",
            &nonce,
            "--build-arg",
            "words=some words",
            "--label",
            "given=2",
            "-o",
            "type=oci,dest=image.tar",
        ];
        let first = buildx.build(&arguments).succeeded();
        assert_eq!(first.commands_run().len(), 3, "{:?}", first.steps());

        let read = archive(&buildx, "image.tar");
        let text = |value: &Value| value.as_str().expect("text").to_owned();
        let manifest = read(&text(&read("index.json")["manifests"][0]["digest"]));
        let config = read(&text(&manifest["config"]["digest"]));
        let own = &config["config"];
        assert_eq!(own["Entrypoint"], serde_json::json!(["cat", "/copied"]));
        assert_eq!((&own["WorkingDir"], &own["User"]), (&"/w".into(), &"1:2".into()));
        assert_eq!(own["Labels"], serde_json::json!({"own": "1", "given": "2"}));
        let env: Vec<_> = own["Env"].as_array().expect("variables").iter().map(text).collect();
        assert!(env.contains(&nonce.replace("nonce=", "NONCE=")), "{env:?}");
        assert_eq!((&config["architecture"], &config["os"]), (&"amd64".into(), &"linux".into()));
        // The image below has one layer, and each command and each new file adds one.
        assert!(manifest["layers"].as_array().expect("layers").len() >= 4, "{manifest}");

        let second = buildx.build(&arguments).succeeded();
        assert_eq!(second.commands_run(), [] as [&str; 0], "{:?}", second.steps());
        let cached =
            second.steps().iter().filter(|(name, step)| name.starts_with("withExec") && step.cached).count();
        assert_eq!(cached, 3);
    }

    #[test]
    fn the_frontend_and_the_image_live_in_a_registry() {
        let Some(buildx) = Buildx::new() else { return };
        let registry = treenail_test_fixtures::daemon().and_then(|daemon| daemon.registry());
        let registry = registry.expect("the daemon has a registry");
        let kit = Kit::open(silent()).expect("the kit's folder");
        let image = frontend::make(&kit, Build::Development).expect("the frontend's image");
        image.push(registry, "treenail/frontend", "test").expect("pushed");
        buildx.write("build.graphql", &format!("# syntax={registry}/treenail/frontend:test\n{THREE_STEPS}"));
        let nonce = nonce();
        let name = format!("{registry}/treenail/built:{nonce}");
        let output = format!("type=image,name={name},push=true");
        let arguments = ["--build-arg", &format!("nonce={nonce}"), "-o", &output];
        buildx.build_plain(&arguments).succeeded();
        let shown = buildx.run(&["imagetools", "inspect", &name, "--format", "{{json .Image}}"]);
        let shown: Value = serde_json::from_slice(&shown.stdout).expect("JSON");
        assert_eq!(shown["config"]["Entrypoint"], serde_json::json!(["cat", "/copied"]), "{shown}");
    }

    #[test]
    fn no_cache_runs_everything_or_one_operation_anew() {
        let Some(buildx) = Buildx::new() else { return };
        buildx.document(THREE_STEPS);
        let nonce = format!("nonce={}", nonce());
        let uuid = |arguments: &[&str]| {
            let folder = buildx.folder().join("out");
            let _ = std::fs::remove_dir_all(&folder);
            let mut all = vec!["--build-arg", &nonce, "-o", "type=local,dest=out"];
            all.extend(arguments);
            buildx.build(&all).succeeded();
            buildx.read("out/uuid")
        };
        let first = uuid(&[]);
        assert_eq!(uuid(&[]), first);
        assert_eq!(uuid(&["--no-cache-filter", "Other"]), first);
        let second = uuid(&["--no-cache-filter", "build"]);
        assert_ne!(second, first);
        assert_ne!(uuid(&["--no-cache"]), second);
    }

    #[test]
    fn a_result_by_platform_names_its_platform() {
        let Some(buildx) = Buildx::new() else { return };
        buildx.document("{ container { from(address: \"alpine:3.22\") { id } } }");
        let arguments = [
            "--platform",
            "linux/amd64",
            "--build-arg",
            "BUILDKIT_MULTI_PLATFORM=1",
            "-o",
            "type=oci,dest=image.tar",
        ];
        buildx.build(&arguments).succeeded();
        let read = archive(&buildx, "image.tar");
        let index = read("index.json");
        let inner = read(index["manifests"][0]["digest"].as_str().expect("a digest"));
        assert_eq!(inner["manifests"][0]["platform"]["architecture"], "amd64", "{inner}");
    }

    #[test]
    fn a_named_image_stands_for_another() {
        let Some(buildx) = Buildx::new() else { return };
        buildx.document("{ container { from(address: \"example.invalid/base:1\") { imageRef } } }");
        let arguments = [
            "--build-context",
            "example.invalid/base:1=docker-image://alpine:3.22",
            "--metadata-file",
            "metadata.json",
        ];
        buildx.build(&arguments).succeeded();
        let text = buildx.read("metadata.json");
        assert!(text.contains("docker.io/library/alpine:3.22@sha256:"), "{text}");
    }

    #[test]
    fn caches_are_imported_into_every_solve() {
        let Some(buildx) = Buildx::new() else { return };
        buildx.document(THREE_STEPS);
        let nonce = format!("nonce={}", nonce());
        let build = |buildx: &Buildx, cache: &[&str]| {
            let mut all = vec!["--build-arg", nonce.as_str(), "-o", "type=local,dest=out"];
            all.extend(cache);
            let built = buildx.build(&all).succeeded();
            (buildx.read("out/uuid"), built.commands_run())
        };
        let cache = buildx.folder().join("cache").display().to_string();
        let (first, _) = build(&buildx, &["--cache-to", &format!("type=local,mode=max,dest={cache}")]);

        let kit = Kit::open(silent()).expect("the kit's folder");
        let mirror = treenail_test_fixtures::daemon().and_then(|daemon| daemon.registry()).map(str::to_owned);
        let fresh = Daemon::start(&kit, &Options { mirror, ..Options::default() }).expect("another daemon");
        let Some(elsewhere) = Buildx::on(&fresh.address()) else { return };
        elsewhere.document(THREE_STEPS);
        let (second, ran) = build(&elsewhere, &["--cache-from", &format!("type=local,src={cache}")]);
        assert_eq!((second, ran), (first, Vec::new()));
    }
}
