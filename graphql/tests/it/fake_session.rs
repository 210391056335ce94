//! A session whose daemon is the fake that counts, and whose host is made up.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use treenail_bridge::fake::{Counts, FakeBridge, Tree};
use treenail_engine::{
    Engine, ExportTarget, GitAccess, GitFailure, GitRemote, Host, HostError, Receiving, SecretValue,
    SharedDirectory, WantedDirectory,
};
use treenail_graphql::prepare::{Request, prepare};
use treenail_graphql::sdl::SchemaModel;
use treenail_graphql::{Api, fields};
use treenail_model::{GitLogin, GitUrl};

/// Exit code that the fake daemon's execs end with; outputs are written as the helper does.
pub(crate) struct Session {
    pub(crate) bridge: Arc<FakeBridge>,
    api: Api,
    listed: Arc<AtomicUsize>,
}

/// The names of every made-up repository.
pub(crate) const LISTED: &str = "ref: refs/heads/main\tHEAD
1111111111111111111111111111111111111111\tHEAD
1111111111111111111111111111111111111111\trefs/heads/main
2222222222222222222222222222222222222222\trefs/tags/v1.0.0
";

const ALPINE: &str = r#"{"os":"linux","architecture":"amd64","config":{"Env":["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],"Cmd":["/bin/sh"]}}"#;

impl Session {
    pub(crate) fn new() -> Self {
        let bridge = Arc::new(FakeBridge::new());
        bridge.set_image("docker.io/library/alpine:3.20", &format!("sha256:{}", "a".repeat(64)), ALPINE);
        for path in ["/made/up/.", "/made/up/x"] {
            bridge.set_source(&format!("local://{path}"), Tree::default().with_file("/here", "text"));
        }
        bridge.set_source(
            "local:///made/up/repository",
            Tree::default().with_file("/.git/HEAD", "ref: refs/heads/main\n"),
        );
        bridge.on_exec(|exec, trees| {
            let out = exec.mounts.iter().position(|mount| mount.dest == treenail_init::OUTPUT_DIR);
            if let Some(out) = out {
                let record = treenail_init::ExitRecord::Exited(0);
                trees[out] =
                    trees[out].clone().with_file("/stdout", "out\n").with_file("/exit", record.encode());
            }
            0
        });
        let host = MadeUpHost::default();
        let listed = host.listed.clone();
        let engine = Engine::new(bridge.clone(), Arc::new(host), fields(), "client");
        Self { bridge, api: Api::new(engine), listed }
    }

    /// The answer to a document, as text.
    pub(crate) async fn answer(&self, document: &str) -> String {
        match prepare(SchemaModel::core(), &Request::new(document)) {
            Ok(prepared) => {
                String::from_utf8(self.api.run(Arc::new(prepared), None).await).expect("answers are UTF-8")
            }
            Err(refusal) => refusal.entries().iter().map(|entry| entry.message.clone()).collect(),
        }
    }

    pub(crate) fn counts(&self) -> Counts {
        self.bridge.counts()
    }

    /// How often a repository was asked for its names.
    pub(crate) fn listed(&self) -> usize {
        self.listed.load(Ordering::SeqCst)
    }
}

#[derive(Default)]
struct MadeUpHost {
    offered: Mutex<HashMap<String, SecretValue>>,
    /// How often a repository was asked for its names.
    listed: Arc<AtomicUsize>,
}

#[async_trait::async_trait]
impl Host for MadeUpHost {
    fn resolve(&self, path: &str) -> PathBuf {
        PathBuf::from("/made/up").join(path)
    }

    async fn share(&self, wanted: WantedDirectory) -> Result<SharedDirectory, HostError> {
        if wanted.path.ends_with("missing") {
            return Err(HostError(format!("lstat {}: no such file or directory", wanted.path.display())));
        }
        Ok(SharedDirectory {
            name: wanted.path.display().to_string(),
            session: "session".to_owned(),
            shared_key: "key".to_owned(),
            ..SharedDirectory::default()
        })
    }

    async fn find_up(&self, _: &str) -> Result<Option<String>, HostError> {
        Ok(None)
    }

    fn variable(&self, name: &str) -> Option<String> {
        (name == "MADE_UP").then(|| "from the client".to_owned())
    }

    async fn read_secret(&self, uri: &str) -> Result<Bytes, HostError> {
        Ok(Bytes::copy_from_slice(uri.as_bytes()))
    }

    fn session(&self) -> String {
        "session".to_owned()
    }

    fn offer_blob(&self, _: &str, _: Bytes) {}

    async fn keep(
        &self,
        from: Arc<dyn treenail_engine::Ranges>,
    ) -> Result<Arc<dyn treenail_engine::Ranges>, HostError> {
        Ok(from)
    }

    fn offer_ranges(&self, _: &str, _: &str, _: Arc<dyn treenail_engine::Ranges>) {}

    fn offer_secret(&self, id: &str, value: SecretValue) {
        self.offered.lock().expect("no test panics while it holds this").insert(id.to_owned(), value);
    }

    fn log_in(&self, _: &str, _: &str, _: &str) {}

    fn log_out(&self, _: &str) {}

    async fn git_refs(&self, remote: &GitRemote) -> Result<String, GitFailure> {
        self.listed.fetch_add(1, Ordering::SeqCst);
        match remote.url.as_str() {
            "https://made.up/wanted" if remote.access == GitAccess::Anonymous => Err(GitFailure::Denied),
            "https://made.up/nothing" => Err(GitFailure::NotARepository),
            _ => Ok(LISTED.to_owned()),
        }
    }

    async fn git_login(&self, _: &GitUrl) -> Option<GitLogin> {
        None
    }

    fn forward_agent(&self) -> Option<String> {
        None
    }

    fn secret_salt(&self) -> Option<Vec<u8>> {
        Some(b"salt of the tests".to_vec())
    }

    async fn receive(&self, _: ExportTarget) -> Result<Box<dyn Receiving>, HostError> {
        Ok(Box::new(Nowhere))
    }
}

struct Nowhere;

#[async_trait::async_trait]
impl Receiving for Nowhere {
    fn session(&self) -> String {
        "export".to_owned()
    }

    async fn finish(self: Box<Self>) -> Result<(), HostError> {
        Ok(())
    }
}
