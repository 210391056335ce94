//! The build file: read from the client, shown in errors.

use std::sync::Arc;

use bytes::Bytes;
use treenail_bridge::stdio::Excerpt;
use treenail_bridge::{Bridge, Error, Ref, SolveRequest};
use treenail_graphql::document::Position;
use treenail_llb as llb;
use treenail_protos::pb;

use crate::options::LocalName;

/// Most bytes of a build file, which every definition carries.
const LIMIT: u64 = 1 << 20;
/// Linguist's name of the language.
const LANGUAGE: &str = "GraphQL";

/// Why there is no build file.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FileError {
    /// It is not there.
    #[error("there is no build file {0}")]
    Missing(String),
    /// It is no text.
    #[error("the build file {0} is not UTF-8")]
    NoText(String),
    /// It cannot be read.
    #[error("cannot read the build file {name}")]
    Unreadable {
        /// Its name.
        name: String,
        /// What the daemon said.
        #[source]
        error: Error,
    },
}

/// A build file.
#[derive(Clone, Debug)]
pub(crate) struct BuildFile {
    /// Its name and bytes, as definitions carry them.
    pub(crate) source: Arc<llb::SourceFile>,
    /// Its text.
    pub(crate) text: Arc<str>,
    /// The vertex that fetched it: warnings belong to it.
    pub(crate) vertex: String,
    /// The ignore file beside it, if there is one.
    pub(crate) ignore: Option<String>,
}

impl BuildFile {
    /// Fetches it.
    ///
    /// # Errors
    /// [`FileError`].
    ///
    /// # Source
    /// BuildKit v0.32.2 `frontend/dockerui/config.go`, `ReadEntrypoint`: only these files are sent, and the whole of
    /// them each time, since a time that stayed the same says nothing about a build file.
    pub(crate) async fn fetch(bridge: &dyn Bridge, name: &str, from: &LocalName) -> Result<Self, FileError> {
        let unreadable = |error| FileError::Unreadable { name: name.to_owned(), error };
        let ignore_name = format!("{name}.dockerignore");
        let (root, vertex) = fetch(
            bridge,
            from,
            &[name.to_owned(), ignore_name.clone()],
            &from.name,
            &format!("load build definition from {name}"),
        )
        .await
        .map_err(unreadable)?;
        let bytes = match bridge.read_file(&root, name, None, LIMIT).await {
            Ok(bytes) => bytes,
            Err(Error::NotFound { .. }) => return Err(FileError::Missing(name.to_owned())),
            Err(error) => return Err(unreadable(error)),
        };
        let text = std::str::from_utf8(&bytes).map_err(|_| FileError::NoText(name.to_owned()))?;
        let text: Arc<str> = text.into();
        let ignore = read_if_any(bridge, &root, &ignore_name).await.map_err(unreadable)?;
        let source =
            llb::SourceFile { filename: name.to_owned(), language: LANGUAGE.to_owned(), data: bytes };
        Ok(Self { source: Arc::new(source), text, vertex, ignore })
    }

    /// A stretch of it, for definitions.
    pub(crate) fn location(&self, start: Position, end: Position) -> llb::SourceLocation {
        let place = |position: Position| (number(position.line), number(position.column.saturating_sub(1)));
        let range = llb::SourceRange { start: place(start), end: place(end) };
        llb::SourceLocation { file: Arc::clone(&self.source), ranges: vec![range] }
    }

    /// Stretches of it, for errors and warnings.
    pub(crate) fn excerpt(&self, places: impl IntoIterator<Item = (Position, Position)>) -> Excerpt {
        let place = |position: Position| {
            let (line, character) = (number(position.line), number(position.column.saturating_sub(1)));
            Some(pb::Position { line, character })
        };
        Excerpt {
            file: self.info(),
            ranges: places
                .into_iter()
                .map(|(start, end)| pb::Range { start: place(start), end: place(end) })
                .collect(),
        }
    }

    /// Name and bytes as the daemon takes them.
    pub(crate) fn info(&self) -> pb::SourceInfo {
        pb::SourceInfo {
            filename: self.source.filename.clone(),
            data: self.source.data.clone(),
            language: self.source.language.clone(),
            definition: None,
        }
    }
}

/// The ignore file of a build context, if there is one.
///
/// # Errors
/// It cannot be read.
pub(crate) async fn context_ignore(
    bridge: &dyn Bridge,
    context: &LocalName,
) -> Result<Option<String>, Error> {
    const NAME: &str = ".dockerignore";
    let key = format!("{}-{NAME}", context.name);
    let (root, _) = fetch(bridge, context, &[NAME.to_owned()], &key, &format!("load {NAME}")).await?;
    read_if_any(bridge, &root, NAME).await
}

/// Fetches some files of a local source, and tells the vertex that did it.
async fn fetch(
    bridge: &dyn Bridge,
    from: &LocalName,
    paths: &[String],
    shared_key: &str,
    shown: &str,
) -> Result<(Ref, String), Error> {
    let mut local = llb::Local::new(&from.name);
    local.session = Some(from.session.clone());
    local.follow_paths = paths.to_vec();
    local.shared_key_hint = Some(shared_key.to_owned());
    local.differ = Some((llb::Differ::None, false));
    let output = local.output(llb::OpOptions::named(format!("[internal] {shown}")));
    // A local source is for no platform.
    let marshalled = output.marshal(&llb::MarshalOptions::new(llb::Platform::new("linux", "amd64")));
    let request =
        SolveRequest { definition: Some(marshalled.definition), evaluate: true, ..SolveRequest::default() };
    let solved = bridge.solve(request).await?;
    let root = solved.reference.unwrap_or_else(|| Ref { id: "".into() });
    Ok((root, marshalled.head.to_string()))
}

async fn read_if_any(bridge: &dyn Bridge, root: &Ref, name: &str) -> Result<Option<String>, Error> {
    match bridge.read_file(root, name, None, LIMIT).await {
        Ok(bytes) => Ok(Some(lossy(&bytes))),
        Err(Error::NotFound { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

fn lossy(bytes: &Bytes) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn number(position: usize) -> i32 {
    i32::try_from(position).unwrap_or(i32::MAX)
}
