//! The calls of the gateway service, as one transport-blind client.

use bytes::{Bytes, BytesMut};
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::Channel;
use tonic::{Request, Status};
use treenail_protos::google::rpc;
use treenail_protos::moby::buildkit::v1::frontend::llb_bridge_client::LlbBridgeClient;
use treenail_protos::moby::buildkit::v1::frontend::{
    self as wire, CacheOptionsEntry, FileRange, NewContainerRequest, PingRequest, PongResponse,
    ReadDirRequest, ReadFileRequest, ReleaseContainerRequest, ResolveImageConfigRequest,
    ResolveSourceGitRequest, ResolveSourceMetaRequest, ReturnRequest, StatFileRequest, result,
};
use treenail_protos::{fsutil, pb};

use super::failure::{decode, decode_path, decode_source};
use crate::{ByteRange, Error, ExecFailure, Ref, ResolveSource, SolveRequest, Solved, SourceMetadata, Stat};

/// Bytes per message, both ways: the daemon's own limit.
pub(crate) const MESSAGE_LIMIT: usize = 16 << 20;
/// Bytes per read of a file: the best rate for the memory it takes.
const CHUNK: u64 = 4 << 20;
/// Bytes reserved on the word of a file's size alone, which a sparse file makes up.
const RESERVE_LIMIT: u64 = 64 << 20;
/// Bytes of a failed exec's file: that call of the daemon knows no ranges, and a message has room for a header.
const WHOLE_FILE_LIMIT: u64 = (MESSAGE_LIMIT - (64 << 10)) as u64;
const BUILD_KEY: &str = "buildkit-controlapi-buildid";
/// Read a failed exec's files without starting a process.
const EXEC_FILESYSTEM: &str = "gateway.exec.filesystem";

/// A client of one open build.
#[derive(Clone)]
pub(crate) struct Gateway {
    client: LlbBridgeClient<Channel>,
    /// Names the build where a connection serves many.
    build: Option<MetadataValue<Ascii>>,
}

impl Gateway {
    /// A client of the build `id` of a daemon.
    pub(crate) fn of_build(channel: Channel, id: &str) -> Self {
        let client = LlbBridgeClient::new(channel)
            .max_decoding_message_size(MESSAGE_LIMIT)
            .max_encoding_message_size(MESSAGE_LIMIT);
        let build = Some(id.parse().expect("a build id is made of lower-case letters and digits"));
        Self { client, build }
    }

    /// A client of the build that this process is the frontend of: the connection is the build's own.
    pub(crate) fn of_frontend(channel: Channel) -> Self {
        let client = LlbBridgeClient::new(channel)
            .max_decoding_message_size(MESSAGE_LIMIT)
            .max_encoding_message_size(MESSAGE_LIMIT);
        Self { client, build: None }
    }

    fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        if let Some(build) = &self.build {
            request.metadata_mut().insert(BUILD_KEY, build.clone());
        }
        request
    }

    pub(crate) async fn ping(&self) -> Result<PongResponse, Status> {
        let request = self.request(PingRequest {});
        Ok(self.client.clone().ping(request).await?.into_inner())
    }

    /// Ends the build with a result.
    pub(crate) async fn finish(&self, result: wire::Result) -> Result<(), Error> {
        let request = self.request(ReturnRequest { result: Some(result), error: None });
        self.client.clone().r#return(request).await.map_err(|status| decode("return", &status))?;
        Ok(())
    }

    /// Ends the build with an error.
    pub(crate) async fn reject(&self, error: rpc::Status) -> Result<(), Error> {
        let request = self.request(ReturnRequest { result: None, error: Some(error) });
        self.client.clone().r#return(request).await.map_err(|status| decode("return", &status))?;
        Ok(())
    }

    pub(crate) async fn warn(&self, warning: wire::WarnRequest) -> Result<(), Error> {
        let request = self.request(warning);
        self.client.clone().warn(request).await.map_err(|status| decode("warn", &status))?;
        Ok(())
    }

    pub(crate) async fn solve(&self, request: SolveRequest) -> Result<Solved, Error> {
        let of_frontend = !request.frontend.is_empty();
        let request = self.request(wire::SolveRequest {
            definition: request.definition,
            frontend: request.frontend,
            frontend_opt: request.frontend_options,
            frontend_inputs: request.frontend_inputs,
            allow_result_return: true,
            allow_result_array_ref: true,
            evaluate: request.evaluate,
            cache_imports: request
                .cache_imports
                .into_iter()
                .map(|cache| CacheOptionsEntry { r#type: cache.kind, attrs: cache.attributes })
                .collect(),
            ..wire::SolveRequest::default()
        });
        let answer =
            self.client.clone().solve(request).await.map_err(|status| decode("solve", &status))?.into_inner();
        let result = answer
            .result
            .ok_or_else(|| Error::Protocol { operation: "solve", message: "no result".to_owned() })?;
        Ok(solved(result, of_frontend))
    }

    pub(crate) async fn read_file(
        &self,
        from: &Ref,
        path: &str,
        range: Option<ByteRange>,
        limit: u64,
    ) -> Result<Bytes, Error> {
        if from.id.is_empty() {
            return Err(Error::NotFound { path: path.to_owned() });
        }
        let ByteRange { offset, length } = range.unwrap_or_default();
        // What the caller may get at most; 0 is the wire's "to the end".
        let wanted = if length == 0 { u64::MAX } else { length };
        let allowed = wanted.min(limit);
        // One byte more than allowed shows that there is too much, without a question of its own.
        let probe = wanted.min(limit.saturating_add(1));
        let mut bytes = BytesMut::new();
        loop {
            let have = bytes.len() as u64;
            let ask = (probe - have).min(CHUNK);
            if ask == 0 {
                break;
            }
            let piece = self.read_range(from, path, offset.saturating_add(have), ask).await?;
            if piece.len() as u64 > ask {
                return Err(Error::Protocol {
                    operation: "read file",
                    message: format!("{} bytes for {ask}", piece.len()),
                });
            }
            let last = (piece.len() as u64) < ask;
            if last && bytes.is_empty() {
                return Ok(piece);
            }
            bytes.extend_from_slice(&piece);
            if last {
                return Ok(bytes.freeze());
            }
            if have == 0 && probe > CHUNK {
                // A big file: fail before moving it, and take the memory at once.
                let size = self.size_of(from, path).await?;
                let rest = size.saturating_sub(offset).min(wanted);
                if rest > limit {
                    return Err(Error::TooLarge { size, limit });
                }
                let missing = rest.saturating_sub(bytes.len() as u64).min(RESERVE_LIMIT);
                bytes.reserve(usize::try_from(missing).unwrap_or(0));
            }
        }
        if bytes.len() as u64 > allowed {
            return Err(Error::TooLarge { size: self.size_of(from, path).await?, limit });
        }
        Ok(bytes.freeze())
    }

    async fn read_range(&self, from: &Ref, path: &str, offset: u64, length: u64) -> Result<Bytes, Error> {
        let range = Some(FileRange {
            offset: i64::try_from(offset).unwrap_or(i64::MAX),
            length: i64::try_from(length).unwrap_or(i64::MAX),
        });
        let request = self.request(ReadFileRequest {
            r#ref: from.id.to_string(),
            file_path: path.to_owned(),
            range,
            mount_index: 0,
        });
        match self.client.clone().read_file(request).await {
            Ok(answer) => Ok(answer.into_inner().data),
            Err(status) => match decode_path("read file", path, &status) {
                // A refusal is a directory or a device most of the time: ask what it is, not the words.
                refused @ Error::Refused { .. } => match self.stat_file(from, path).await {
                    Ok(stat) if !stat.is_regular() => Err(Error::NotRegular { path: path.to_owned() }),
                    _ => Err(refused),
                },
                other => Err(other),
            },
        }
    }

    async fn size_of(&self, from: &Ref, path: &str) -> Result<u64, Error> {
        Ok(u64::try_from(self.stat_file(from, path).await?.size).unwrap_or(0))
    }

    pub(crate) async fn read_dir(&self, from: &Ref, path: &str) -> Result<Vec<Stat>, Error> {
        if from.id.is_empty() {
            return if is_root(path) {
                Ok(Vec::new())
            } else {
                Err(Error::NotFound { path: path.to_owned() })
            };
        }
        let request = self.request(ReadDirRequest {
            r#ref: from.id.to_string(),
            dir_path: path.to_owned(),
            ..ReadDirRequest::default()
        });
        match self.client.clone().read_dir(request).await {
            Ok(answer) => Ok(answer.into_inner().entries.into_iter().map(stat).collect()),
            Err(status) => match decode_path("read directory", path, &status) {
                refused @ Error::Refused { .. } => match self.stat_file(from, path).await {
                    Ok(stat) if !stat.is_dir() => Err(Error::NotDirectory { path: path.to_owned() }),
                    _ => Err(refused),
                },
                other => Err(other),
            },
        }
    }

    pub(crate) async fn stat_file(&self, from: &Ref, path: &str) -> Result<Stat, Error> {
        if from.id.is_empty() {
            if is_root(path) {
                return Ok(Stat { mode: 1 << 31 | 0o755, ..Stat::default() });
            }
            return Err(Error::NotFound { path: path.to_owned() });
        }
        let request = self.request(StatFileRequest {
            r#ref: from.id.to_string(),
            path: path.to_owned(),
            mount_index: 0,
        });
        let answer = self.client.clone().stat_file(request).await;
        let answer = answer.map_err(|status| decode_path("stat file", path, &status))?.into_inner();
        answer
            .stat
            .map(stat)
            .ok_or_else(|| Error::Protocol { operation: "stat file", message: "no description".to_owned() })
    }

    /// Asks for the metadata of any source, or, with `images_only`, an old daemon for that of an image.
    pub(crate) async fn resolve_source(
        &self,
        request: ResolveSource,
        images_only: bool,
    ) -> Result<SourceMetadata, Error> {
        let mode = request.source.attrs.get("image.resolvemode").cloned().unwrap_or_default();
        if images_only {
            return self.resolve_image(request, mode).await;
        }
        let request = self.request(ResolveSourceMetaRequest {
            source: Some(request.source),
            platform: request.platform,
            log_name: request.log_name,
            resolve_mode: mode,
            git: Some(ResolveSourceGitRequest { return_object: false }),
            ..ResolveSourceMetaRequest::default()
        });
        let answer = self.client.clone().resolve_source_meta(request).await;
        let answer = answer.map_err(|status| decode_source("resolve source", &status))?.into_inner();
        // An old daemon answers success with nothing in it: presence decides, not the status.
        Ok(SourceMetadata {
            identifier: answer.source.map(|source| source.identifier).unwrap_or_default(),
            image: answer
                .image
                .filter(|image| !image.digest.is_empty())
                .map(|image| (image.digest, image.config)),
            git: answer.git.filter(|git| !git.checksum.is_empty()).map(|git| {
                // An annotated tag has a checksum of its own; the commit behind it is what names content.
                let commit = if git.commit_checksum.is_empty() { git.checksum } else { git.commit_checksum };
                (commit, git.r#ref)
            }),
            http: answer
                .http
                .filter(|http| !http.checksum.is_empty())
                .map(|http| (http.checksum, http.filename, http.last_modified.map(|time| time.seconds))),
        })
    }

    /// # Source
    /// BuildKit v0.32.2 `client/llb/sourceresolver/types.go`: resolver type 0 is a registry, 1 a session's store.
    async fn resolve_image(&self, request: ResolveSource, mode: String) -> Result<SourceMetadata, Error> {
        let identifier = request.source.identifier;
        let (kind, reference) = match identifier.split_once("://") {
            Some(("docker-image", reference)) => (0, reference),
            Some(("oci-layout", reference)) => (1, reference),
            _ => return Ok(SourceMetadata { identifier, ..SourceMetadata::default() }),
        };
        let attribute = |key: &str| request.source.attrs.get(key).cloned().unwrap_or_default();
        let request = self.request(ResolveImageConfigRequest {
            r#ref: reference.to_owned(),
            platform: request.platform,
            resolve_mode: mode,
            log_name: request.log_name,
            resolver_type: kind,
            session_id: attribute("oci.session"),
            store_id: attribute("oci.store"),
            source_policies: Vec::new(),
        });
        let answer = self.client.clone().resolve_image_config(request).await;
        let answer = answer.map_err(|status| decode_source("resolve image", &status))?.into_inner();
        Ok(SourceMetadata {
            identifier,
            image: Some((answer.digest, answer.config)),
            ..SourceMetadata::default()
        })
    }

    /// The last `limit` bytes of a file as a failed exec left it, and its full size.
    ///
    /// The container made for it is released on every path: the work runs in a task of its own, so a caller
    /// that gives up does not leave it behind.
    pub(crate) async fn read_failed(
        &self,
        failure: &ExecFailure,
        mount: usize,
        path: &str,
        limit: u64,
    ) -> Result<(Bytes, u64), Error> {
        let state = failure.mount_ids.get(mount).filter(|id| !id.is_empty());
        let Some(state) = state else { return Err(Error::NotFound { path: path.to_owned() }) };
        let selector = match &failure.op.op {
            Some(pb::op::Op::Exec(exec)) => exec.mounts.get(mount).map(|mount| mount.selector.clone()),
            _ => None,
        };
        let container = NewContainerRequest {
            container_id: crate::id::fresh(),
            mounts: vec![pb::Mount {
                dest: "/".to_owned(),
                result_id: state.clone(),
                selector: selector.unwrap_or_default(),
                readonly: true,
                ..pb::Mount::default()
            }],
            ..NewContainerRequest::default()
        };
        let path = format!("/{}", path.trim_start_matches('/'));
        let gateway = self.clone();
        // Closed when the caller gives up.
        let (_caller, gone) = tokio::sync::oneshot::channel::<()>();
        let task = tokio::spawn(async move {
            let id = container.container_id.clone();
            let request = gateway.request(container);
            let opened = gateway.client.clone().new_container(request).await;
            opened.map_err(|status| decode("open a failed exec", &status))?;
            let answer = tokio::select! {
                answer = gateway.read_container(&id, &path, limit) => answer,
                _ = gone => Err(Error::Cancelled { operation: "read a failed exec" }),
            };
            let request = gateway.request(ReleaseContainerRequest { container_id: id });
            if let Err(status) = gateway.client.clone().release_container(request).await {
                // The daemon releases it with the build; the answer is good all the same.
                tracing::debug!(%status, "release of a container failed");
            }
            answer
        });
        task.await.map_err(|_| Error::Cancelled { operation: "read a failed exec" })?
    }

    async fn read_container(&self, id: &str, path: &str, limit: u64) -> Result<(Bytes, u64), Error> {
        let request =
            self.request(StatFileRequest { r#ref: id.to_owned(), path: path.to_owned(), mount_index: 0 });
        let answer = self.client.clone().stat_file_container(request).await;
        let answer =
            answer.map_err(|status| decode_path("stat a failed exec's file", path, &status))?.into_inner();
        let stat = answer.stat.map(stat).unwrap_or_default();
        if !stat.is_regular() {
            return Err(Error::NotRegular { path: path.to_owned() });
        }
        let size = u64::try_from(stat.size).unwrap_or(0);
        if size > WHOLE_FILE_LIMIT {
            return Err(Error::TooLarge { size, limit: WHOLE_FILE_LIMIT });
        }
        let request = self.request(ReadFileRequest {
            r#ref: id.to_owned(),
            file_path: path.to_owned(),
            range: None,
            mount_index: 0,
        });
        let answer = self.client.clone().read_file_container(request).await;
        let data = answer
            .map_err(|status| decode_path("read a failed exec's file", path, &status))?
            .into_inner()
            .data;
        let size = data.len() as u64;
        let skipped = usize::try_from(size.saturating_sub(limit)).unwrap_or(0);
        Ok((data.slice(skipped..), size))
    }
}

/// Can a failed exec's files be read?
pub(crate) fn require_exec_filesystem(capabilities: &crate::Capabilities) -> Result<(), Error> {
    if capabilities.frontend.contains(EXEC_FILESYSTEM) {
        return Ok(());
    }
    Err(Error::Capability { capability: EXEC_FILESYSTEM, since: "v0.27.0" })
}

/// `of_frontend`: the caller does not know the graphs, so they are kept.
fn solved(result: wire::Result, of_frontend: bool) -> Solved {
    let mut solved = Solved { metadata: result.metadata, ..Solved::default() };
    let Solved { named, definitions, .. } = &mut solved;
    let mut take = |name: &str, reference: wire::Ref| {
        if let Some(definition) = reference.def.filter(|_| of_frontend) {
            definitions.insert(name.to_owned(), definition);
        }
        Ref { id: reference.id.into() }
    };
    let bare = |id: String| wire::Ref { id, def: None };
    let single = match result.result {
        Some(result::Result::Ref(reference)) => Some(take("", reference)),
        Some(result::Result::RefDeprecated(id)) => Some(take("", bare(id))),
        Some(result::Result::Refs(refs)) => {
            named.extend(refs.refs.into_iter().map(|(name, reference)| {
                let taken = take(&name, reference);
                (name, taken)
            }));
            None
        }
        Some(result::Result::RefsDeprecated(refs)) => {
            named.extend(refs.refs.into_iter().map(|(name, id)| (name, Ref { id: id.into() })));
            None
        }
        None => None,
    };
    solved.reference = single.filter(|reference| !reference.id.is_empty());
    solved
}

fn stat(stat: fsutil::types::Stat) -> Stat {
    Stat {
        path: stat.path,
        mode: stat.mode,
        uid: stat.uid,
        gid: stat.gid,
        size: stat.size,
        mod_time: stat.mod_time,
        link_name: stat.linkname,
    }
}

/// Does the path name the root of a result?
pub(crate) fn is_root(path: &str) -> bool {
    path.split('/').all(|part| part.is_empty() || part == ".")
}
