//! The graphs of `test-fixtures/llb/mint/main.go`, built with this crate.
//!
//! Same names, same order; each function says nothing twice that the Go program says.

use std::sync::Arc;

use treenail_llb::{
    Access, Bind, Cache, ContentCache, CopyAction, Device, Differ, Exec, Git, HostEntry, Http, Image,
    LinuxResources, Local, MarshalOptions, Marshalled, MkdirAction, MkfileAction, Mode, Mount, Network,
    OciLayout, OpOptions, Output, Owner, Platform, ProgressGroup, Proxy, ResolveMode, RmAction, Secret,
    SecretEnv, Security, Sharing, Source, SourceFile, SourceLocation, SourceRange, Ssh, SymlinkAction,
    Ulimit, User,
};

const ALPINE: &str = "docker.io/library/alpine:3.22";
const SUM: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
const COMMIT: &str = "0123456789012345678901234567890123456789";
const WHEN: Option<i64> = Some(1_700_000_000_000_000_005);

/// A graph by name.
pub(crate) struct Graph {
    pub(crate) name: &'static str,
    pub(crate) output: Output,
    /// Filters for the whole graph.
    workers: Vec<String>,
}

impl Graph {
    pub(crate) fn marshal(&self) -> Marshalled {
        let mut options = MarshalOptions::new(Platform::new("linux", "amd64"));
        options.worker_constraints.clone_from(&self.workers);
        self.output.marshal(&options)
    }
}

/// All graphs, built anew.
pub(crate) fn all() -> Vec<Graph> {
    [sources(), execs(), files(), others()]
        .into_iter()
        .flatten()
        .map(|(name, output)| Graph {
            name,
            output,
            workers: if name == "worker" { vec!["all==x".to_owned()] } else { Vec::new() },
        })
        .collect()
}

type Named = (&'static str, Output);

fn plain() -> OpOptions {
    OpOptions::default()
}

fn text(value: &str) -> Option<String> {
    Some(value.to_owned())
}

fn list<const N: usize>(items: [&str; N]) -> Vec<String> {
    items.map(str::to_owned).to_vec()
}

fn image() -> Output {
    Image::new(ALPINE).output(plain())
}

fn tools() -> Output {
    Image::new("docker.io/library/busybox:1.37").output(plain())
}

fn context() -> Output {
    let local = Local { session: text("session"), ..Local::new("context") };
    local.output(plain())
}

fn on(platform: Platform) -> OpOptions {
    plain().with_platform(platform)
}

fn root(exec: Exec) -> Output {
    exec.run().expect("a whole exec").root().expect("a writable root")
}

fn sources() -> Vec<Named> {
    let options = Image {
        resolve_mode: Some(ResolveMode::Pull),
        record_type: text("internal"),
        layer_limit: Some(3),
        checksum: SUM.parse().ok(),
        ..Image::new(ALPINE)
    };
    let windows = Platform {
        os_version: "10.0.20348".into(),
        os_features: list(["win32k"]),
        ..Platform::new("windows", "amd64")
    };
    let hosts = text("git.example ssh-ed25519 AAAA\n");
    let git_ssh = Git {
        reference: text("v1"),
        subdir: text("sub/dir"),
        known_ssh_hosts: hosts.clone(),
        mount_ssh_sock: text("agent"),
        ..Git::new("git@git.example:owner/repo.git")
    };
    let git_options = Git {
        reference: text("v1"),
        subdir: text("docs"),
        keep_git_dir: true,
        auth_token_secret: text("token"),
        auth_header_secret: text("header"),
        checksum: text(COMMIT),
        skip_submodules: true,
        mtime: text("commit"),
        fetch_by_commit: true,
        ..Git::new("https://user@git.example:8443/repo.git")
    };
    let git_bundle = Git {
        checksum: text(COMMIT),
        bundle: Some(format!("oci-layout+blob://store@{SUM}")),
        bundle_store: Some(("session".into(), "store".into())),
        checkout_bundle: true,
        ..Git::new("https://git.example/repo.git")
    };
    let http_options = Http {
        checksum: SUM.parse().ok(),
        filename: text("b"),
        permissions: Some(0o755),
        uid: 1000,
        gid: 1001,
        auth_header_secret: text("header"),
        accept: text("text/plain"),
        user_agent: text("ua/1"),
        signature: Some(("key".into(), "sig".into())),
        ..Http::new("http://files.example/a")
    };
    let local_options = Local {
        session: text("session"),
        include: list(["src/**", "a<b>&\"c\\"]),
        exclude: list(["**/*.o", "!keep"]),
        follow_paths: list(["link"]),
        shared_key_hint: text("hint"),
        differ: Some((Differ::None, true)),
        metadata_only: Some(list(["go.mod"])),
        ..Local::new("context")
    };
    let local_unique = Local {
        unique: text("unique"),
        differ: Some((Differ::Metadata, false)),
        metadata_only: Some(Vec::new()),
        ..Local::new("context")
    };
    let layout = OciLayout {
        session: text("session"),
        store: text("store"),
        layer_limit: Some(2),
        ..OciLayout::new(format!("name@{SUM}"))
    };
    let mut custom = Source::new("custom://x");
    for (name, value) in [("z", "1"), ("a", ""), ("m", "é")] {
        custom.attrs.insert(name.into(), value.into());
    }
    let local_image = Image { resolve_mode: Some(ResolveMode::Local), ..Image::new(ALPINE) };
    let git_main = Git { reference: text("main"), ..Git::new("https://git.example/owner/../repo.git") };
    let git_default = Git { known_ssh_hosts: hosts, ..Git::new("ssh://git@git.example/owner/repo.git") };
    vec![
        ("image", image()),
        ("image-options", options.output(plain())),
        ("image-local", local_image.output(plain())),
        ("image-platform", Image::new(ALPINE).output(on(Platform::new("linux", "arm").with_variant("v7")))),
        ("image-windows", Image::new(ALPINE).output(on(windows))),
        ("git-https", git_main.output(plain())),
        ("git-plain", Git::new("git.example/owner/repo").output(plain())),
        ("git-ssh", git_ssh.output(plain())),
        ("git-ssh-default", git_default.output(plain())),
        ("git-options", git_options.output(plain())),
        ("git-bundle", git_bundle.output(plain())),
        ("http", Http::new("https://files.example/a.tar.gz").output(plain())),
        ("http-options", http_options.output(plain())),
        ("local", context()),
        ("local-options", local_options.output(plain())),
        ("local-unique", local_unique.output(plain())),
        ("oci-layout", layout.output(plain())),
        ("source", custom.output(plain())),
    ]
}

fn execs() -> Vec<Named> {
    let run = |base: Output| Exec::new(base, ["true"]);
    let meta = Exec {
        cwd: "/work".into(),
        user: "node:staff".into(),
        hostname: "box".into(),
        extra_hosts: [("db", "10.0.0.2"), ("v6", "fe80::1")]
            .map(|(host, ip)| HostEntry { host: host.into(), ip: ip.into() })
            .to_vec(),
        ulimits: vec![Ulimit { name: "nofile".into(), soft: 1024, hard: 2048 }],
        cgroup_parent: "group".into(),
        valid_exit_codes: vec![0, 3, 255],
        proxy: Some(Proxy {
            http: "http://h".into(),
            https: "http://s".into(),
            ftp: "http://f".into(),
            no: "n".into(),
            all: "http://a".into(),
        }),
        ..run(image()).with_env("B", "2").with_env("A", "1=x").with_env("E", "")
    };
    let trusted = Exec { network: Network::Host, security: Security::Insecure, ..run(image()) };
    let alone = Exec { network: Network::None, ..run(image()) };
    let base = image();
    let shared = tools();
    let mounts = run(base.clone())
        .with_mount(Mount::bind("/w", shared.clone()))
        .with_mount(Mount::new(
            "/r",
            Bind {
                source: Some(shared.clone()),
                selector: "/bin".into(),
                access: Access::Read,
                content_cache: ContentCache::On,
            },
        ))
        .with_mount(Mount::new(
            "/d",
            Bind { access: Access::Discard, content_cache: ContentCache::Off, ..Bind::default() },
        ))
        .with_mount(Mount::cache("/c1", "one", Sharing::Shared))
        .with_mount(Mount::new(
            "/c2",
            Cache {
                id: "two".into(),
                sharing: Sharing::Private,
                source: Some(shared),
                selector: "/etc".into(),
                read_only: false,
            },
        ))
        .with_mount(Mount::new(
            "/c3",
            Cache { id: "three".into(), sharing: Sharing::Locked, read_only: true, ..Cache::default() },
        ))
        .with_mount(Mount::tmpfs("/t", 1 << 20))
        .with_mount(Mount::tmpfs("/e", 0))
        .with_mount(Mount::bind("/b", base));
    let agent = Ssh { uid: 1, gid: 2, mode: 0o666, optional: true, ..Ssh::new("agent") };
    let one = Secret { uid: 3, gid: 4, mode: 0o440, ..Secret::new("one") };
    let two = Secret { optional: true, ..Secret::new("two") };
    let secrets = run(image())
        .with_env("SSH_AUTH_SOCK", "/agent")
        .with_mount(Mount::new("/agent", agent))
        .with_mount(Mount::new("/z", one))
        .with_mount(Mount::new("/a", two))
        .with_mount(Mount::read_only("/x", tools()));
    let secret_env = Exec {
        secret_env: [("id", "TOKEN", false), ("other", "OTHER", true)]
            .map(|(id, name, optional)| SecretEnv { id: id.into(), name: name.into(), optional })
            .to_vec(),
        ..run(image())
    };
    let devices = Exec {
        devices: [("vendor.example/gpu=0", false), ("vendor.example/nic=all", true)]
            .map(|(name, optional)| Device { name: name.into(), optional })
            .to_vec(),
        ..run(image())
    };
    let second = run(image())
        .with_mount(Mount::bind("/z", None))
        .with_mount(Mount::bind("/a", tools()))
        .run()
        .expect("a whole exec");
    let mut fixed_root = run(image()).with_mount(Mount::bind("/out", None));
    fixed_root.mounts[0] = Mount::read_only("/", image());
    let fixed_root = fixed_root.run().expect("a whole exec");
    let arm = Image::new(ALPINE).output(on(Platform::new("linux", "arm64")));
    let resources = OpOptions {
        resources: Some(LinuxResources {
            memory: 1 << 30,
            memory_swap: 2 << 30,
            cpu_shares: 512,
            cpu_period: 100_000,
            cpu_quota: 50_000,
            cpuset_cpus: "0-1".into(),
            cpuset_mems: "0".into(),
        }),
        ..plain()
    };
    vec![
        ("exec", root(Exec::new(image(), ["sh", "-c", "echo hi"]))),
        ("exec-scratch", root(Exec::new(None, ["/bin/true"]))),
        ("exec-meta", root(meta)),
        ("exec-host-insecure", root(trusted)),
        ("exec-no-network", root(alone)),
        ("exec-mounts", root(mounts)),
        ("exec-secrets", root(secrets)),
        ("exec-secret-env", root(secret_env)),
        ("exec-devices", root(devices)),
        ("exec-second-output", second.output(2).expect("a writable mount")),
        ("exec-readonly-root", fixed_root.output(1).expect("a writable mount")),
        ("exec-platform", root(run(Output::file(arm, MkdirAction::new("/x", 0o755), plain())))),
        ("exec-resources", root(run(image()).with_options(resources))),
    ]
}

/// Names looked up in `tree`.
fn named(tree: &Output, user: &str, group: Option<&str>) -> Option<Owner> {
    let name = |name: &str| User::Name { name: name.into(), tree: tree.clone() };
    Some(Owner { user: Some(name(user)), group: group.map(name) })
}

fn files() -> Vec<Named> {
    let mut small = Output::file(None, MkdirAction::new("/a", 0o755), plain());
    small = Output::file(small, MkfileAction::new("/a/f", 0o600, &b"data\0\xff"[..]), plain());
    small = Output::file(small, SymlinkAction::new("f", "/a/l"), plain());
    small = Output::file(small, RmAction::new("/a/f"), plain());

    let mut options = Output::file(
        image(),
        MkdirAction {
            make_parents: true,
            owner: Some(Owner::ids(1, 2)),
            timestamp: WHEN,
            ..MkdirAction::new("/a/b", 0o1777)
        },
        plain(),
    );
    let empty = MkfileAction {
        owner: Some(Owner::ids(0, 0)),
        timestamp: WHEN,
        ..MkfileAction::new("/a/e", 0, &b""[..])
    };
    options = Output::file(options, empty, plain());
    let link =
        SymlinkAction { owner: Some(Owner::ids(5, 6)), timestamp: WHEN, ..SymlinkAction::new("x", "/a/l") };
    options = Output::file(options, link, plain());
    let rm = RmAction { allow_wildcard: true, allow_not_found: true, ..RmAction::new("/tmp/*") };
    options = Output::file(options, rm, plain());

    let base = image();
    let by_name = MkdirAction { owner: named(&base, "node", Some("staff")), ..MkdirAction::new("/a", 0o755) };
    let owned = Output::file(base.clone(), by_name, plain());
    let by_name = MkfileAction { owner: named(&base, "node", None), ..MkfileAction::new("/a/f", 0o644, "x") };
    let owned = Output::file(owned, by_name, plain());

    let copy_options = CopyAction {
        owner: Some(Owner::ids(7, 8)),
        mode: Some(Mode::Bits(0o640)),
        follow_symlink: true,
        dir_contents_only: true,
        attempt_unpack: true,
        create_dest_path: true,
        allow_wildcard: true,
        allow_empty_wildcard: true,
        include: list(["b", "a"]),
        exclude: list(["z", "y"]),
        required_paths: list(["b"]),
        always_replace: true,
        timestamp: WHEN,
        ..CopyAction::new(context(), "/s*", "/d/.")
    };
    let mode_text = CopyAction {
        mode: Some(Mode::Text("u=rwX,go=rX".into())),
        owner: named(&base, "node", Some("staff")),
        ..CopyAction::new(context(), "/s", "/d")
    };
    let chain = Output::file(image(), MkdirAction::new("/a", 0o755), plain());
    let chain = Output::file(chain, CopyAction::new(context(), "/x", "/a/x"), plain());
    let chain = Output::file(chain, MkfileAction::new("/a/y", 0o644, "y"), plain());
    let to_itself = CopyAction::new(base.clone(), "/etc", "/etc2");
    vec![
        ("file-small", small),
        ("file-options", options),
        ("file-owner-name", owned),
        ("file-copy", Output::file(image(), CopyAction::new(context(), "/src", "/dst/"), plain())),
        ("file-copy-scratch", Output::file(None, CopyAction::new(None, "/", "/"), plain())),
        ("file-copy-self", Output::file(base.clone(), to_itself, plain())),
        ("file-copy-options", Output::file(image(), copy_options, plain())),
        ("file-copy-mode-text", Output::file(base, mode_text, plain())),
        ("file-chain", chain),
    ]
}

fn others() -> Vec<Named> {
    let written = |name: &str| {
        let mkfile = MkfileAction::new(format!("/{name}"), 0o644, name.to_owned());
        Output::file(image(), mkfile, plain())
    };
    let (base, one, two) = (image(), written("1"), written("2"));
    let diff = |upper: &Output| Output::diff(base.clone(), upper.clone(), plain());
    let layers = [Some(tools()), None, diff(&one), diff(&two)];
    let metadata = OpOptions {
        ignore_cache: true,
        description: [("k".to_owned(), "v".to_owned())].into(),
        export_cache: Some(false),
        progress_group: Some(ProgressGroup { id: "id".into(), name: "group".into(), weak: true }),
        ..plain()
    };
    let exported = OpOptions { export_cache: Some(true), ..OpOptions::named("b name") };
    let run = root(Exec::new(image(), ["true"]).with_options(metadata.with_name("a name")));
    let worker = |filter: &str| OpOptions { worker_constraints: list([filter]), ..plain() };
    let tied = Image::new(ALPINE).output(worker("a==b"));

    // The two twins hold files that are equal but not shared.
    let at = |ranges: Vec<SourceRange>| SourceLocation {
        file: Arc::new(SourceFile {
            filename: "build.graphql".into(),
            language: "GraphQL".into(),
            data: "{ container }".into(),
        }),
        ranges,
    };
    let range = SourceRange { start: (1, 2), end: (1, 11) };
    let located = OpOptions { locations: vec![at(vec![range])], ..plain() };
    let twice = OpOptions { locations: vec![at(vec![range]), at(vec![])], ..plain() };
    let located = Image::new(ALPINE).output(located);
    vec![
        ("merge", Output::merge([&base, &one, &two, &one].map(Clone::clone), plain()).expect("four trees")),
        ("diff", diff(&one).expect("a lower tree")),
        ("diff-to-scratch", Output::diff(base.clone(), None, plain()).expect("a lower tree")),
        ("merge-of-diffs", Output::merge(layers, plain()).expect("three trees")),
        ("build", Output::build(image(), None, plain())),
        ("build-filename", Output::build(image(), text("x.llb"), plain())),
        ("metadata", Output::file(run, MkdirAction::new("/a", 0o755), exported)),
        ("worker", root(Exec::new(tied, ["true"]).with_options(worker("c==d")))),
        ("twins", Output::merge([written("1"), written("1"), two], plain()).expect("three trees")),
        ("locations", root(Exec::new(located, ["true"]).with_options(twice))),
    ]
}
