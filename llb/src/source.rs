//! Sources: trees fetched from outside the graph.

use std::collections::{BTreeMap, BTreeSet};

use treenail_protos::pb;

use crate::options::OpOptions;
use crate::output::{Op, Output};

/// Any source, by identifier and attributes.
///
/// The kinds the daemon has today have types of their own ([`crate::Image`], [`crate::Git`],
/// [`crate::Http`], [`crate::Local`], [`crate::OciLayout`]) which turn into this one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Source {
    /// `scheme://rest`
    pub identifier: String,
    /// Named as in BuildKit's `solver/pb/attr.go`.
    pub attrs: BTreeMap<String, String>,
    /// The capabilities the daemon must have for this identifier and these attributes.
    pub capabilities: BTreeSet<String>,
}

impl Source {
    /// A source without attributes.
    pub fn new(identifier: impl Into<String>) -> Self {
        Self { identifier: identifier.into(), ..Self::default() }
    }

    /// The tree.
    pub fn output(self, options: OpOptions) -> Output {
        Output::new(Op::Source(self), options, None)
    }

    pub(crate) fn attr(&mut self, name: &str, value: impl Into<String>) {
        self.attrs.insert(name.to_owned(), value.into());
    }

    pub(crate) fn cap(&mut self, capability: &str) {
        self.capabilities.insert(capability.to_owned());
    }

    /// Sets an attribute and asks for its capability when there is a value.
    pub(crate) fn optional(&mut self, name: &str, value: Option<String>, capability: Option<&str>) {
        if let Some(value) = value {
            self.attr(name, value);
            if let Some(capability) = capability {
                self.cap(capability);
            }
        }
    }

    /// Whether the platform takes part in the vertex.
    ///
    /// # Source
    /// BuildKit v0.32.2 `client/llb/source.go`, `platformSpecificSource`.
    pub(crate) fn is_platform_specific(&self) -> bool {
        ["docker-image://", "oci-layout://"].iter().any(|scheme| self.identifier.starts_with(scheme))
    }

    pub(crate) fn to_pb(&self) -> pb::SourceOp {
        pb::SourceOp { identifier: self.identifier.clone(), attrs: self.attrs.clone() }
    }
}
