//! Containers as images: pushed and pulled back, written as archives.
//!
//! # Source
//! `contract/container.md` 6, `contract/sources.md` 7.

mod daemon {
    use std::collections::BTreeMap;
    use std::os::unix::fs::PermissionsExt;
    use std::path::Path;
    use std::process::{Command, Stdio};

    use serde_json::{Value, json};

    use crate::notation::{Let, Values, error, evaluate, text, value};
    use crate::registry::{Guarded, PASSWORD, USER, blob, manifest};
    use crate::service::{Service, nonce};

    /// A container with every kind of mount, and a command that writes through all of them.
    const MOUNTED: &str = r#"C.withMountedDirectory(path: "/m", source: $tree)
        .withMountedFile(path: "/mounted-file", source: $file)
        .withMountedCache(path: "/volume", cache: $volume)
        .withMountedTemp(path: "/temporary")
        .withMountedSecret(path: "/secret", source: $secret)
        .withExec(args: ["sh", "-c", "echo left > /m/written; echo left > /volume/written; echo left > /temporary/written; echo kept > /kept"])"#;

    const MOUNTS: &[Let] = &[
        ("tree", "Directory", r#"D.withNewFile(path: "f", contents: "a")"#),
        ("file", "File", r#"D.withNewFile(path: "g", contents: "b").file(path: "g")"#),
        ("volume", "CacheVolume", r#"cacheVolume(key: "images")"#),
        ("secret", "Secret", r#"setSecret(name: "images", plaintext: "plain")"#),
    ];

    fn service(workdir: &Path) -> Option<(Service, &'static str)> {
        let daemon = treenail_test_fixtures::daemon()?;
        let registry = daemon.registry()?;
        Some((Service::start(daemon, workdir), registry))
    }

    fn folder() -> tempfile::TempDir {
        tempfile::tempdir().expect("a folder")
    }

    /// Chains stand on several lines here.
    fn line(chain: &str) -> String {
        chain.split('\n').map(str::trim).collect()
    }

    /// Repository and digest of a published image.
    fn published(reference: &str) -> (&str, &str) {
        let (name, digest) = reference.split_once('@').expect("a digest");
        let (_, path) = name.split_once('/').expect("a host");
        (path.split(':').next().expect("a repository"), digest)
    }

    /// Names in an archive, as `tar` lists them.
    fn listed(archive: &[u8], options: &str) -> Vec<String> {
        let output = piped(Command::new("tar").args([options, "-"]), archive);
        String::from_utf8(output)
            .expect("UTF-8")
            .lines()
            .map(|name| name.trim_start_matches("./").to_owned())
            .collect()
    }

    /// One file of an archive.
    fn member(archive: &[u8], name: &str) -> Vec<u8> {
        piped(Command::new("tar").args(["-xOf", "-", name]), archive)
    }

    fn piped(command: &mut Command, input: &[u8]) -> Vec<u8> {
        use std::io::Write as _;
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it starts");
        let mut stdin = child.stdin.take().expect("piped");
        let output = std::thread::scope(|scope| {
            // A reader that has seen enough hangs up; what it says is checked below.
            scope.spawn(move || drop(stdin.write_all(input)));
            child.wait_with_output().expect("it ends")
        });
        assert!(output.status.success(), "{}", output.status);
        output.stdout
    }

    #[test]
    fn a_published_image_comes_back_with_every_field() {
        let workdir = folder();
        let Some((service, registry)) = service(workdir.path()) else { return };
        let tag = nonce();
        let configured = line(
            r#"C.withNewFile(path: "/f", contents: "text")
            .withEnvVariable(name: "A", value: "1=2 3").withLabel(name: "l", value: "v").withUser(name: "daemon:daemon")
            .withWorkdir(path: "/w").withEntrypoint(args: ["/bin/e", "x"]).withDefaultArgs(args: ["a", "b c"])
            .withExposedPort(port: 80).withExposedPort(port: 53, protocol: UDP)"#,
        );
        let reference = text(
            &service,
            &format!("{configured}.publish(address: \"{registry}/images/fields:{tag}\")"),
            &Values::default(),
        );
        assert!(reference.starts_with(&format!("{registry}/images/fields:{tag}@sha256:")), "{reference}");
        let fields = "user workdir entrypoint defaultArgs platform envVariables{name value} labels{name value} \
                      exposedPorts{port protocol} file(path: \"/f\"){contents}";
        let pulled = format!("container.from(address: \"{reference}\")");
        let before = value(&service, &format!("{configured}.{{{fields}}}"), &Values::default());
        let after = value(&service, &format!("{pulled}.{{{fields}}}"), &Values::default());
        assert_eq!(before, after);

        let bare = text(
            &service,
            &format!("{configured}.publish(address: \"{registry}/images/bare\")"),
            &Values::default(),
        );
        let (repository, digest) = published(&bare);
        assert!(bare.starts_with(&format!("{registry}/images/bare@")), "{bare}");
        assert_eq!(manifest(registry, repository, "latest"), manifest(registry, repository, digest));
    }

    #[test]
    fn annotations_and_media_types_are_as_asked() {
        let workdir = folder();
        let Some((service, registry)) = service(workdir.path()) else { return };
        let container =
            r#"C.withNewFile(path: "/new", contents: "n").withAnnotation(name: "a.b", value: "x y")"#;
        let publish = |arguments: &str| {
            let chain = format!("{container}.publish(address: \"{registry}/images/types\"{arguments})");
            let reference = text(&service, &chain, &Values::default());
            let (repository, digest) = published(&reference);
            manifest(registry, repository, digest)
        };
        let oci = publish("");
        assert_eq!(oci["annotations"], json!({"a.b": "x y"}));
        assert_eq!(oci["mediaType"], "application/vnd.oci.image.manifest.v1+json");
        let docker = publish(", mediaTypes: DOCKER");
        assert_eq!(docker["mediaType"], "application/vnd.docker.distribution.manifest.v2+json");
        let types = |manifest: &Value| -> Vec<String> {
            let layers = manifest["layers"].as_array().expect("layers");
            layers.iter().map(|layer| layer["mediaType"].as_str().expect("a type").to_owned()).collect()
        };
        // Layers of the base stay as they are, a new one is gzip.
        let layers = types(&docker);
        assert_eq!(
            layers.last().map(String::as_str),
            Some("application/vnd.docker.image.rootfs.diff.tar.gzip")
        );
        assert!(
            layers.iter().all(|kind| kind.starts_with("application/vnd.docker.image.rootfs.diff.tar")),
            "{layers:?}"
        );
        for (compression, kind) in [
            ("Gzip", "application/vnd.oci.image.layer.v1.tar+gzip"),
            ("ZSTD", "application/vnd.oci.image.layer.v1.tar+zstd"),
            ("EStarGZ", "application/vnd.oci.image.layer.v1.tar+gzip"),
            ("Uncompressed", "application/vnd.oci.image.layer.v1.tar"),
        ] {
            let manifest = publish(&format!(", forcedCompression: {compression}"));
            assert!(types(&manifest).iter().all(|found| found == kind), "{compression}: {manifest}");
        }
    }

    #[test]
    fn mounts_are_in_no_layer() {
        let workdir = folder();
        let Some((service, registry)) = service(workdir.path()) else { return };
        let values = evaluate(&service, MOUNTS).expect("values");
        let chain = format!(
            "{}.publish(address: \"{registry}/images/mounts\", forcedCompression: Gzip)",
            line(MOUNTED)
        );
        let reference = text(&service, &chain, &values);
        let (repository, digest) = published(&reference);
        let manifest = manifest(registry, repository, digest);
        let mut names = Vec::new();
        for layer in manifest["layers"].as_array().expect("layers") {
            names.extend(listed(&blob(registry, repository, layer), "-tzf"));
        }
        assert!(names.iter().any(|name| name == "kept"), "{names:?}");
        for hidden in ["m", "mounted-file", "volume", "temporary", "secret", ".init", "dev/.treenail"] {
            assert!(
                !names
                    .iter()
                    .any(|name| name.trim_end_matches('/') == hidden
                        || name.starts_with(&format!("{hidden}/"))),
                "{hidden}"
            );
        }
        let config = blob(registry, repository, &manifest["config"]);
        assert!(!String::from_utf8_lossy(&config).contains("plain\""));
    }

    #[test]
    fn several_platforms_are_one_index() {
        let workdir = folder();
        let Some((service, registry)) = service(workdir.path()) else { return };
        let arm = |word: &str| {
            format!(
                r#"container(platform: "linux/arm64").withNewFile(path: "/word", contents: "{word}").withAnnotation(name: "of", value: "arm")"#
            )
        };
        let first = text(&service, &format!("{}.id", arm("arm")), &Values::default());
        let own = r#"container(platform: "linux/amd64").withNewFile(path: "/word", contents: "amd").withLabel(name: "l", value: "amd")"#;
        let twin =
            text(&service, &format!("{}.id", own.replace("\"amd\")", "\"twin\")")), &Values::default());
        let empty = text(&service, "container.id", &Values::default());
        let values = Values::default().with("arm", "Container", first).with("twin", "Container", twin).with(
            "empty",
            "Container",
            empty,
        );
        let chain = format!(
            "{own}.publish(address: \"{registry}/images/many\", platformVariants: [$arm, $twin, $empty])"
        );
        let reference = text(&service, &chain, &values);
        let (repository, digest) = published(&reference);
        let index = manifest(registry, repository, digest);
        assert_eq!(index["mediaType"], "application/vnd.oci.image.index.v1+json");
        let entries: BTreeMap<String, Value> = index["manifests"]
            .as_array()
            .expect("manifests")
            .iter()
            .map(|entry| {
                (entry["platform"]["architecture"].as_str().expect("a platform").to_owned(), entry.clone())
            })
            .collect();
        assert_eq!(entries.keys().collect::<Vec<_>>(), ["amd64", "arm64"]);
        assert_eq!(entries["arm64"]["annotations"], json!({"of": "arm"}));
        assert!(entries["amd64"].get("annotations").is_none(), "{index}");
        for (platform, word) in [("linux/amd64", "amd"), ("linux/arm64", "arm")] {
            let chain = format!(
                "container(platform: \"{platform}\").from(address: \"{reference}\").file(path: \"/word\").contents"
            );
            assert_eq!(text(&service, &chain, &Values::default()), word);
        }

        let target = workdir.path().join("many.tar");
        let chain = format!("{own}.export(path: \"{}\", platformVariants: [$arm])", target.display());
        assert_eq!(text(&service, &chain, &values), target.to_string_lossy());
        let names = listed(&std::fs::read(&target).expect("an archive"), "-tf");
        assert!(
            names.contains(&"index.json".to_owned()) && !names.contains(&"manifest.json".to_owned()),
            "{names:?}"
        );

        let refused = error(
            &service,
            &format!("container.publish(address: \"{registry}/images/none\", platformVariants: [$empty])"),
            &values,
        );
        assert_eq!(refused["message"], "no containers to export");
    }

    #[test]
    fn an_archive_is_written_for_its_owner_alone() {
        let workdir = folder();
        let Some((service, _)) = service(workdir.path()) else { return };
        let container = r#"C.withNewFile(path: "/f", contents: "x").withEnvVariable(name: "NAME", value: "deep").withAnnotation(name: "a", value: "b")"#;
        let target = workdir.path().join("new/deep/image.tar");
        let chain = format!("{container}.export(path: \"new/$NAME/image.tar\", expand: true)");
        assert_eq!(text(&service, &chain, &Values::default()), target.to_string_lossy());
        let mode = |path: &Path| std::fs::metadata(path).expect("it is there").permissions().mode() & 0o7777;
        assert_eq!(
            (mode(&target), mode(&workdir.path().join("new")), mode(&workdir.path().join("new/deep"))),
            (0o600, 0o700, 0o700)
        );

        let archive = std::fs::read(&target).expect("an archive");
        let names = listed(&archive, "-tf");
        for name in ["oci-layout", "index.json", "manifest.json"] {
            assert!(names.contains(&name.to_owned()), "{name} in {names:?}");
        }
        let index: Value = serde_json::from_slice(&member(&archive, "index.json")).expect("JSON");
        assert_eq!(index["manifests"][0]["annotations"]["a"], "b");
        let loaded: Value = serde_json::from_slice(&member(&archive, "manifest.json")).expect("JSON");
        let config = loaded[0]["Config"].as_str().expect("a path");
        let config: Value = serde_json::from_slice(&member(&archive, config)).expect("JSON");
        assert!(
            config["config"]["Env"].as_array().expect("variables").contains(&json!("NAME=deep")),
            "{config}"
        );

        // An existing file gives way, an existing directory does not.
        std::fs::write(workdir.path().join("there.tar"), "old").expect("written");
        text(&service, &format!("{container}.export(path: \"there.tar\")"), &Values::default());
        assert_ne!(std::fs::read(workdir.path().join("there.tar")).expect("an archive"), b"old");
        for path in ["new", "not-there/"] {
            let refused =
                error(&service, &format!("{container}.export(path: \"{path}\")"), &Values::default());
            let shown = workdir.path().join(path.trim_end_matches('/'));
            let expected = format!(
                "destination {shown:?} is a directory; must be a file path unless allowParentDirPath is set"
            );
            assert_eq!(refused["message"], expected);
        }
    }

    #[test]
    fn an_archive_is_a_file_and_comes_back_as_the_same_image() {
        let workdir = folder();
        let Some((service, _)) = service(workdir.path()) else { return };
        let word = nonce();
        let made = line(&format!(
            r#"C.withExec(args: ["sh", "-c", "echo {word} > /made; chown 5:6 /made; ln -s made /link"])
            .withEnvVariable(name: "A", value: "1").withEntrypoint(args: ["/bin/e"]).withDefaultArgs(args: ["a"])
            .withExposedPort(port: 80).withLabel(name: "l", value: "v").withWorkdir(path: "/w")"#
        ));
        let archive = text(&service, &format!("{made}.asTarball.id"), &Values::default());
        let values = Values::default().with("archive", "File", archive);
        let stat = value(
            &service,
            &format!("{made}.asTarball.{{name stat{{size permissions}}}}"),
            &Values::default(),
        );
        assert_eq!((&stat["name"], &stat["stat"]["permissions"]), (&json!("container.tar"), &json!(0o600)));

        // The file is what export writes, but for the time in the index.
        let target = workdir.path().join("written.tar");
        text(
            &service,
            &format!("loadFileFromID(id: $archive).export(path: \"{}\")", target.display()),
            &values,
        );
        let bytes = std::fs::read(&target).expect("an archive");
        assert_eq!(json!(bytes.len()), stat["stat"]["size"]);
        let names = listed(&bytes, "-tf");
        assert!(
            names.contains(&"manifest.json".to_owned()) && names.contains(&"index.json".to_owned()),
            "{names:?}"
        );

        // Configuration replaces: nothing of the receiver stays.
        let imported = "container.withEnvVariable(name: \"OLD\", value: \"1\").import(source: $archive)";
        let fields = "user workdir entrypoint defaultArgs platform envVariables{name value} labels{name value} \
                      exposedPorts{port protocol} file(path: \"/link\"){contents}";
        let before = value(&service, &format!("{made}.{{{fields}}}"), &Values::default());
        assert_eq!(value(&service, &format!("{imported}.{{{fields}}}"), &values), before);
        let owner = format!("{imported}.withExec(args: [\"stat\", \"-c\", \"%u:%g\", \"/made\"]).stdout");
        assert_eq!(text(&service, &owner, &values), "5:6\n");
    }

    #[test]
    fn every_field_of_a_configuration_survives_archives_and_registries() {
        let workdir = folder();
        let Some((service, registry)) = service(workdir.path()) else { return };
        let file = "FROM alpine:3.20\nENV A=1 B=\"x y\"\nLABEL l=v\nEXPOSE 80 53/udp\nVOLUME /data /more\nUSER 5:6\n\
                    WORKDIR /w\nSTOPSIGNAL SIGINT\nHEALTHCHECK --interval=5s --retries=2 CMD true\n\
                    SHELL [\"/bin/sh\", \"-ec\"]\nONBUILD RUN true\nENTRYPOINT [\"/bin/e\"]\nCMD [\"c\", \"d e\"]\n";
        let source = format!("directory.withNewFile(path: \"Dockerfile\", contents: {})", json!(file));
        let built = format!("{source}.dockerBuild.withAnnotation(name: \"a.b\", value: \"c\")");
        let published_config = |chain: &str, values: &Values, types: &str| {
            let publish =
                format!("{chain}.publish(address: \"{registry}/images/config\", mediaTypes: {types})");
            let reference = text(&service, &publish, values);
            let (repository, digest) = published(&reference);
            let manifest = manifest(registry, repository, digest);
            let config: Value =
                serde_json::from_slice(&blob(registry, repository, &manifest["config"])).expect("JSON");
            (reference, manifest["annotations"].clone(), config["config"].clone())
        };
        let (reference, annotations, config) = published_config(&built, &Values::default(), "OCIMediaTypes");
        assert_eq!(annotations, json!({"a.b": "c"}));
        let fields = json!({
            "User": "5:6", "WorkingDir": "/w", "Entrypoint": ["/bin/e"], "Cmd": ["c", "d e"], "Labels": {"l": "v"},
            "ExposedPorts": {"53/udp": {}, "80/tcp": {}}, "Volumes": {"/data": {}, "/more": {}}, "StopSignal": "SIGINT",
            "Healthcheck": {"Test": ["CMD-SHELL", "true"], "Interval": 5_000_000_000_u64, "Retries": 2},
            "Shell": ["/bin/sh", "-ec"], "OnBuild": ["RUN true"],
        });
        for (name, expected) in fields.as_object().expect("fields") {
            assert_eq!(&config[name], expected, "{name} of {config}");
        }
        let variables = config["Env"].as_array().expect("variables");
        assert!(variables.contains(&json!("A=1")) && variables.contains(&json!("B=x y")), "{config}");

        for types in ["OCIMediaTypes", "DockerMediaTypes"] {
            let archive =
                text(&service, &format!("{built}.asTarball(mediaTypes: {types}).id"), &Values::default());
            let values = Values::default().with("archive", "File", archive);
            let (again, _, imported) = published_config("container.import(source: $archive)", &values, types);
            assert_eq!(imported, config, "an archive with {types}");
            let pulled = format!("container.from(address: \"{again}\")");
            assert_eq!(
                published_config(&pulled, &Values::default(), types).2,
                config,
                "a registry with {types}"
            );
            // A later archive of what was pulled is the same image again.
            let target = workdir.path().join("again.tar");
            text(
                &service,
                &format!("{pulled}.export(path: \"again.tar\", mediaTypes: {types})"),
                &Values::default(),
            );
            let written = std::fs::read(&target).expect("an archive");
            let loaded: Value = serde_json::from_slice(&member(&written, "manifest.json")).expect("JSON");
            let inside = member(&written, loaded[0]["Config"].as_str().expect("a path"));
            let inside: Value = serde_json::from_slice(&inside).expect("JSON");
            assert_eq!(inside["config"], config, "an exported archive with {types}");
        }

        // Another root keeps the configuration, and what it differs in is what was put into it.
        let other = format!(
            "container.from(address: \"{reference}\").withRootfs(directory: $root).{{user workdir rootfs{{entries}}}}"
        );
        let root = text(
            &service,
            r#"D.withNewFile(path: "sub/only", contents: "x").directory(path: "sub").id"#,
            &Values::default(),
        );
        let values = Values::default().with("root", "Directory", root);
        assert_eq!(
            value(&service, &other, &values),
            json!({"user": "5:6", "workdir": "/w", "rootfs": {"entries": ["only"]}})
        );
        let before = text(&service, "C.rootfs.id", &Values::default());
        let values = Values::default().with("before", "Directory", before);
        let after = text(&service, r#"C.withNewFile(path: "/added/f", contents: "x").rootfs.id"#, &values);
        let values = values.with("after", "Directory", after);
        let diff = value(
            &service,
            "loadDirectoryFromID(id: $before).diff(other: $after).glob(pattern: \"**\")",
            &values,
        );
        assert_eq!(diff, json!(["added/", "added/f"]));
    }

    #[test]
    fn an_archive_of_several_platforms_gives_each_its_image() {
        let workdir = folder();
        let Some((service, registry)) = service(workdir.path()) else { return };
        let of = |platform: &str| {
            format!(r#"container(platform: "{platform}").withNewFile(path: "/word", contents: "{platform}")"#)
        };
        let arm = text(&service, &format!("{}.id", of("linux/arm64")), &Values::default());
        let values = Values::default().with("arm", "Container", arm);
        let archive =
            text(&service, &format!("{}.asTarball(platformVariants: [$arm]).id", of("linux/amd64")), &values);
        let values = values.with("archive", "File", archive);
        for platform in ["linux/amd64", "linux/arm64"] {
            let imported = format!("container(platform: \"{platform}\").import(source: $archive)");
            assert_eq!(
                text(&service, &format!("{imported}.file(path: \"/word\").contents"), &values),
                platform
            );
            assert_eq!(text(&service, &format!("{imported}.platform"), &values), platform);
        }
        let none = error(
            &service,
            "container(platform: \"linux/riscv64\").import(source: $archive, tag: \"t\").id",
            &values,
        );
        assert_eq!(none["message"], "no manifest for platform linux/riscv64 and tag t");

        // What was imported is pushed like anything else.
        let reference = text(
            &service,
            &format!("container.import(source: $archive).publish(address: \"{registry}/images/imported\")"),
            &values,
        );
        let chain = format!(
            "container(platform: \"linux/amd64\").from(address: \"{reference}\").file(path: \"/word\").contents"
        );
        assert_eq!(text(&service, &chain, &values), "linux/amd64");
    }

    #[test]
    fn what_docker_saved_is_read_and_other_files_are_refused() {
        let workdir = folder();
        let Some((service, _)) = service(workdir.path()) else { return };
        let inside = workdir.path().join("inside");
        std::fs::create_dir_all(inside.join("layer")).expect("made");
        std::fs::write(inside.join("layer/saved"), "by docker").expect("written");
        let tar = |from: &Path, to: &Path, names: &[&str]| {
            let status = Command::new("tar")
                .arg("-C")
                .arg(from)
                .arg("-cf")
                .arg(to)
                .args(names)
                .status()
                .expect("it starts");
            assert!(status.success());
        };
        tar(&inside.join("layer"), &inside.join("layer.tar"), &["saved"]);
        let digest = piped(Command::new("sha256sum").arg(inside.join("layer.tar")), b"");
        let digest = String::from_utf8_lossy(&digest[..64]).into_owned();
        let config = json!({
            "os": "linux", "architecture": "amd64", "config": {"Env": ["FROM=docker"]},
            "rootfs": {"type": "layers", "diff_ids": [format!("sha256:{digest}")]}
        });
        std::fs::write(inside.join("config.json"), config.to_string()).expect("written");
        let saved = json!([{"Config": "config.json", "RepoTags": ["x:1"], "Layers": ["layer.tar"]}]);
        std::fs::write(inside.join("manifest.json"), saved.to_string()).expect("written");
        tar(&inside, &workdir.path().join("saved.tar"), &["manifest.json", "config.json", "layer.tar"]);
        std::fs::write(workdir.path().join("text"), "no archive at all".repeat(100)).expect("written");

        let values = evaluate(
            &service,
            &[
                ("saved", "File", "host.file(path: \"saved.tar\")"),
                ("text", "File", "host.file(path: \"text\")"),
            ],
        )
        .expect("files");
        let imported = "container(platform: \"linux/amd64\").import(source: $saved, tag: \"1\")";
        assert_eq!(
            text(&service, &format!("{imported}.file(path: \"/saved\").contents"), &values),
            "by docker"
        );
        assert_eq!(text(&service, &format!("{imported}.envVariable(name: \"FROM\")"), &values), "docker");
        let refused = error(&service, "container.import(source: $text).id", &values);
        assert_eq!(refused["message"], "image archive import: archive/tar: invalid tar header");
    }

    #[test]
    fn a_failing_command_is_told_as_such_and_nothing_is_written() {
        let workdir = folder();
        let Some((service, registry)) = service(workdir.path()) else { return };
        let failing = r#"C.withExec(args: ["sh", "-c", "echo why >&2; exit 3"])"#;
        for end in
            ["export(path: \"x.tar\")".to_owned(), format!("publish(address: \"{registry}/images/failed\")")]
        {
            let failure = error(&service, &format!("{failing}.{end}"), &Values::default());
            assert_eq!(
                (&failure["extensions"]["_type"], &failure["extensions"]["exitCode"]),
                (&json!("EXEC_ERROR"), &json!(3))
            );
            assert_eq!(failure["extensions"]["stderr"], "why");
        }
        assert!(!workdir.path().join("x.tar").exists());
        let bad = error(&service, "C.publish(address: \"Not A Name\")", &Values::default());
        assert!(
            bad["message"]
                .as_str()
                .expect("a text")
                .starts_with("failed to parse image address Not A Name: "),
            "{bad}"
        );
        let unreachable = error(&service, "C.publish(address: \"127.0.0.1:1/x\")", &Values::default());
        assert!(unreachable["message"].as_str().expect("a text").contains("127.0.0.1:1"), "{unreachable}");
    }

    #[test]
    fn a_login_opens_a_registry_for_the_session() {
        let workdir = folder();
        let Some((service, _)) = service(workdir.path()) else { return };
        let Some(guarded) = Guarded::start() else { return };
        let host = guarded.address();
        let secrets: &[Let] = &[
            ("right", "Secret", "setSecret(name: \"right\", plaintext: \"right-password\")"),
            ("wrong", "Secret", "setSecret(name: \"wrong\", plaintext: \"wrong-password\")"),
        ];
        let values = evaluate(&service, secrets).expect("secrets");
        let publish = |before: &str| {
            format!("C.withLabel(name: \"l\", value: \"v\"){before}.publish(address: \"{host}/x:1\")")
        };
        let login = |secret: &str| {
            format!(
                ".withRegistryAuth(address: \"http://{host}/x:1\", username: \"{USER}\", secret: ${secret})"
            )
        };
        let from = format!("container.from(address: \"{host}/x:1\").label(name: \"l\")");

        let logout = format!(".withoutRegistryAuth(address: \"{host}\")");
        for before in [String::new(), login("wrong"), format!("{}{logout}", login("right"))] {
            let refused = error(&service, &publish(&before), &values);
            let message = refused["message"].as_str().expect("a text");
            assert!(message.contains(host) && message.contains("auth"), "{before}: {message}");
            assert!(!message.contains(PASSWORD) && !message.contains("wrong-password"), "{message}");
            assert!(!guarded.holds("x", "1"), "pushed after {before:?}");
        }
        let refused = error(&service, &from, &values);
        assert!(
            refused["message"].as_str().expect("a text").contains("failed to resolve image"),
            "{refused}"
        );

        // The same call as before the logout logs in again, and the failures are not remembered.
        let reference = text(&service, &publish(&login("right")), &values);
        assert!(reference.starts_with(&format!("{host}/x:1@sha256:")), "{reference}");
        assert!(guarded.holds("x", "1"));
        assert_eq!(text(&service, &from, &values), "v");
        let run =
            format!("container.from(address: \"{host}/x:1\").withExec(args: [\"echo\", \"ran\"]).stdout");
        assert_eq!(text(&service, &run, &values), "ran\n");

        let strange = error(&service, "container.withoutRegistryAuth(address: \"\").id", &values);
        assert_eq!(
            strange["message"],
            "failed parsing [], expected address format: [registrydomain.extension]"
        );
    }

    #[test]
    fn images_merge_as_their_configuration_says() {
        let Some(daemon) = treenail_test_fixtures::daemon() else { return };
        let Some(registry) = daemon.registry() else { return };
        let workdir = tempfile::tempdir().expect("a working directory");
        std::fs::write(
            workdir.path().join("Dockerfile"),
            "FROM alpine:3.20\nENV A=2\nEXPOSE 80\nLABEL image=yes\nENTRYPOINT [\"/e\"]\n",
        )
        .expect("written");
        let image = format!("{registry}/examples:merge");
        let folder = workdir.path().display();
        let built = std::process::Command::new(daemon.buildctl())
            .args(["--addr", daemon.address(), "build", "--frontend", "dockerfile.v0", "--progress", "plain"])
            .args(["--local", &format!("context={folder}"), "--local", &format!("dockerfile={folder}")])
            .args(["--output", &format!("type=image,name={image},push=true,registry.insecure=true")])
            .output()
            .expect("buildctl runs");
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
        let service = Service::start(daemon, workdir.path());
        let answer = value(
            &service,
            &format!(
                r#"container.withEnvVariable(name: "A", value: "1").withEnvVariable(name: "B", value: "1").withLabel(name: "l", value: "1").withExposedPort(port: 5000).withDefaultArgs(args: ["x"]).from(address: "{image}").{{a: envVariable(name: "A") b: envVariable(name: "B") label(name: "l") i: label(name: "image") entrypoint defaultArgs exposedPorts{{port}}}}"#
            ),
            &Values::default(),
        );
        let mut ports: Vec<i64> = answer["exposedPorts"]
            .as_array()
            .expect("a list")
            .iter()
            .filter_map(|port| port["port"].as_i64())
            .collect();
        ports.sort_unstable();
        assert_eq!(ports, [80, 5000]);
        assert_eq!((&answer["a"], &answer["b"]), (&json!("2"), &json!("1")));
        assert_eq!((&answer["label"], &answer["i"]), (&json!("1"), &json!("yes")));
        assert_eq!(
            (&answer["entrypoint"], &answer["defaultArgs"]),
            (&json!(["/e"]), &json!([])),
            "an entrypoint of the image clears Cmd"
        );
        // The ID is pinned.
        let id = text(&service, &format!(r#"container.from(address: "{image}").id"#), &Values::default());
        let bytes = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, id).expect("base64");
        let shown = String::from_utf8_lossy(&bytes);
        assert!(shown.contains(&format!("{image}@sha256:")), "{shown}");
    }
}
