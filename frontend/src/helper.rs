//! The helper that runs inside commands, out of the frontend's own image.
//!
//! A frontend has no secrets of its own, so the helper's bytes are in the cache key here; the daemon says which image
//! this process runs from, so the image needs no name of its own.

use std::path::Path;

use prost::Message as _;
use treenail_llb as llb;
use treenail_model::{Directory, Helper, Platform, Tree};
use treenail_protos::pb;

/// Directory of the image with one helper for each architecture, named as OCI names those.
pub const DIRECTORY: &str = "/treenail/init";

/// Where the daemon puts the definition of the frontend's image.
///
/// # Source
/// BuildKit v0.32.2 `frontend/gateway/gateway.go`, `metadataMount`.
const DEFINITION: &str = "/run/config/buildkit/metadata/frontend.bin";

/// Why commands would have no helper.
#[derive(Debug, thiserror::Error)]
pub enum HelperError {
    /// The daemon did not say which image this is.
    #[error("buildkitd did not tell the frontend its own image: {DEFINITION}")]
    Unreadable(#[source] std::io::Error),
    /// What it said is not the message it should be.
    #[error("buildkitd told the frontend its own image in a form that does not decode")]
    Undecodable(#[source] prost::DecodeError),
    /// What it said is not a graph.
    #[error("buildkitd told the frontend its own image as something that is no graph")]
    NoGraph(#[source] llb::DefinitionError),
    /// It said nothing.
    #[error("buildkitd told the frontend that its image is empty")]
    Empty,
}

/// The helper of the image that this process runs from.
///
/// # Errors
/// [`HelperError`].
pub fn own() -> Result<Helper, HelperError> {
    let bytes = std::fs::read(Path::new(DEFINITION)).map_err(HelperError::Unreadable)?;
    from_definition(&bytes)
}

fn from_definition(bytes: &[u8]) -> Result<Helper, HelperError> {
    let mut definition = pb::Definition::decode(bytes).map_err(HelperError::Undecodable)?;
    for metadata in definition.metadata.values_mut() {
        // Shown beside the user's own steps.
        metadata
            .description
            .insert("llb.customname".to_owned(), "[internal] helper of the frontend".to_owned());
    }
    let output = llb::Output::from_definition(&definition, |_| false).map_err(HelperError::NoGraph)?;
    let output = output.ok_or(HelperError::Empty)?;
    let whole = Directory::whole(Tree::of(Some(output)), Platform::new("linux", "amd64", ""));
    Ok(Helper::Directory(whole.sub(DIRECTORY)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_image_of_a_definition_is_where_the_helper_is() {
        let image = llb::Image::new("example.test/treenail:1").output(llb::OpOptions::default());
        let options = llb::MarshalOptions::new(llb::Platform::new("linux", "amd64"));
        let definition = image.marshal(&options).definition;
        let Ok(Helper::Directory(directory)) = from_definition(&definition.encode_to_vec()) else {
            panic!("a directory")
        };
        assert_eq!(&*directory.path, DIRECTORY);
        let again = directory.tree.output().expect("no poison").expect("an image").marshal(&options);
        assert_eq!(again.definition.def, definition.def);
    }

    #[test]
    fn anything_else_is_an_error() {
        assert!(matches!(from_definition(b"\xff\xff"), Err(HelperError::Undecodable(_))));
        assert!(matches!(from_definition(b""), Err(HelperError::Empty)));
    }
}
