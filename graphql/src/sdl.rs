//! The API as a table, read from the schema files.
//!
//! The files under `graphql/schema/` are the one place where types, fields, arguments and defaults are written down;
//! introspection, validation and argument coercion all read this model.
//!
//! Invariants: types are sorted by name, fields by name (in bytes), arguments stand in declared order, which is part of every
//! call's identity; every named type exists; every default is a valid value of its type.
//!
//! # Source
//! `contract/schema.graphql` and the recorded introspection of 0.19.11.

mod build;
mod read;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, LazyLock};

use crate::coerce::ArgValue;

/// The version whose API the core schema is; what `__schemaVersion` answers.
pub const CORE_VERSION: &str = "v0.19.11";

macro_rules! schema_files {
    ($($name:literal)*) => { &[$(($name, include_str!(concat!("../schema/", $name, ".graphql")))),*] };
}

/// The schema files of the core API: name and text.
pub const CORE_FILES: &[(&str, &str)] = schema_files! {
    "changeset" "check" "container" "directives" "directory" "engine" "env" "envfile" "error" "file" "function" "git" "host"
    "introspection" "json" "llm" "module" "query" "scalars" "secret" "service" "typedef"
};

static CORE: LazyLock<Arc<SchemaModel>> = LazyLock::new(|| {
    Arc::new(SchemaModel::read(CORE_VERSION, CORE_FILES).expect("a test reads the schema files"))
});

/// A schema file that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum SdlError {
    /// The text breaks the grammar.
    #[error("schema file `{file}` does not parse")]
    Parse {
        /// The file's name.
        file: String,
        /// What the parser said.
        #[source]
        source: crate::document::ParseError,
    },
    /// A definition that does not fit the others.
    #[error("schema: {0}")]
    Invalid(String),
}

/// A type's place in [`SchemaModel::types`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TypeId(pub(crate) u32);

impl TypeId {
    /// The index into [`SchemaModel::types`].
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// All types and directives of one API.
#[derive(Debug)]
pub struct SchemaModel {
    version: Arc<str>,
    types: Vec<TypeDef>,
    by_name: HashMap<Arc<str>, TypeId>,
    directives: Vec<DirectiveDef>,
    query: TypeId,
    typename: FieldDef,
    condition: ArgDef,
    field_count: usize,
}

/// What a type is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TypeKind {
    /// Text, numbers, IDs.
    Scalar,
    /// A type with fields.
    Object,
    /// A closed set of names.
    Enum,
    /// A group of arguments.
    InputObject,
}

impl TypeKind {
    /// The name in introspection.
    pub fn name(self) -> &'static str {
        match self {
            Self::Scalar => "SCALAR",
            Self::Object => "OBJECT",
            Self::Enum => "ENUM",
            Self::InputObject => "INPUT_OBJECT",
        }
    }
}

/// One named type.
#[derive(Debug)]
pub struct TypeDef {
    /// Its place in the model.
    pub id: TypeId,
    /// What it is.
    pub kind: TypeKind,
    /// Its name.
    pub name: Arc<str>,
    /// Our words for it; may be empty.
    pub description: Arc<str>,
    /// Directives applied to it.
    pub directives: Vec<AppliedDirective>,
    /// The fields of an object, by name; hidden ones included.
    pub fields: Vec<FieldDef>,
    /// The fields of an input object, as declared.
    pub inputs: Vec<ArgDef>,
    /// The members of an enum, as declared.
    pub values: Vec<EnumValueDef>,
    /// For the scalar `ContainerID`: `Container`.
    pub id_of: Option<Arc<str>>,
    by_name: HashMap<Arc<str>, usize>,
}

/// One field of an object type.
#[derive(Debug)]
pub struct FieldDef {
    /// A number of its own among all fields of the model, below [`SchemaModel::field_count`]: an index for tables of resolvers.
    pub ordinal: usize,
    /// The type that has the field.
    pub owner: TypeId,
    /// Its name.
    pub name: Arc<str>,
    /// Our words for it; may be empty.
    pub description: Arc<str>,
    /// Its arguments, as declared.
    pub args: Vec<ArgDef>,
    /// What it answers.
    pub ty: TypeRef,
    /// Why it should not be used any more.
    pub deprecation: Option<Arc<str>>,
    /// Directives applied to it.
    pub directives: Vec<AppliedDirective>,
    /// Selectable, but not shown by introspection.
    pub hidden: bool,
    /// Answered by this crate alone, never by a resolver.
    pub meta: Option<Meta>,
}

impl FieldDef {
    /// The argument of that name.
    pub fn arg(&self, name: &str) -> Option<&ArgDef> {
        self.args.iter().find(|arg| &*arg.name == name)
    }
}

/// The fields that introspection answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meta {
    /// `__typename`, of any object.
    Typename,
    /// `Query.__schema`.
    Schema,
    /// `Query.__type(name:)`.
    Type,
    /// `Query.__schemaVersion`.
    SchemaVersion,
}

/// An argument, or a field of an input object.
#[derive(Debug)]
pub struct ArgDef {
    /// Its name.
    pub name: Arc<str>,
    /// Our words for it; may be empty.
    pub description: Arc<str>,
    /// What it takes.
    pub ty: TypeRef,
    /// What stands when the caller passes nothing.
    pub default: Option<DefaultValue>,
    /// Why it should not be used any more.
    pub deprecation: Option<Arc<str>>,
    /// Directives applied to it.
    pub directives: Vec<AppliedDirective>,
}

impl ArgDef {
    /// Whether a caller must pass it.
    pub fn required(&self) -> bool {
        self.ty.non_null() && self.default.is_none()
    }
}

/// A default, in both its forms.
#[derive(Clone, Debug)]
pub struct DefaultValue {
    /// As a GraphQL literal.
    pub text: Arc<str>,
    /// As resolvers see it.
    pub value: ArgValue,
}

/// One member of an enum.
#[derive(Debug)]
pub struct EnumValueDef {
    /// Its name.
    pub name: Arc<str>,
    /// Our words for it; may be empty.
    pub description: Arc<str>,
    /// The member that it stands for: itself, or for an alias what `@enumValue` names.
    pub canonical: Arc<str>,
    /// Why it should not be used any more.
    pub deprecation: Option<Arc<str>>,
    /// Directives applied to it.
    pub directives: Vec<AppliedDirective>,
}

/// A directive that the schema defines.
#[derive(Debug)]
pub struct DirectiveDef {
    /// Its name, without `@`.
    pub name: Arc<str>,
    /// Our words for it; may be empty.
    pub description: Arc<str>,
    /// Its arguments.
    pub args: Vec<ArgDef>,
    /// Where it may stand.
    pub locations: Vec<Arc<str>>,
}

/// A directive where it stands.
#[derive(Debug)]
pub struct AppliedDirective {
    /// Its name, without `@`.
    pub name: Arc<str>,
    /// The arguments given: names, and values as GraphQL literals.
    pub args: Vec<(Arc<str>, Arc<str>)>,
}

/// A type in use: a name or a list, each nullable or not. Shown as GraphQL writes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TypeRef {
    /// A named type.
    Named {
        /// Its name.
        name: Arc<str>,
        /// Its place in the model.
        id: TypeId,
        /// Whether it cannot be null.
        non_null: bool,
    },
    /// A list.
    List {
        /// The type of its elements.
        of: Box<TypeRef>,
        /// Whether the list itself cannot be null.
        non_null: bool,
    },
}

impl TypeRef {
    /// Whether the value cannot be null.
    pub fn non_null(&self) -> bool {
        match self {
            Self::Named { non_null, .. } | Self::List { non_null, .. } => *non_null,
        }
    }

    /// The name within all lists.
    pub fn named(&self) -> &Arc<str> {
        match self {
            Self::Named { name, .. } => name,
            Self::List { of, .. } => of.named(),
        }
    }

    /// The type within all lists.
    pub fn named_id(&self) -> TypeId {
        match self {
            Self::Named { id, .. } => *id,
            Self::List { of, .. } => of.named_id(),
        }
    }

    /// The type of a list's elements.
    pub fn element(&self) -> Option<&TypeRef> {
        match self {
            Self::Named { .. } => None,
            Self::List { of, .. } => Some(of),
        }
    }

    /// Whether a value of this type always fits where `place` is expected, nulls at the top aside.
    pub(crate) fn fits(&self, place: &TypeRef) -> bool {
        let null_fits = self.non_null() || !place.non_null();
        null_fits && self.fits_nullable(place)
    }

    pub(crate) fn fits_nullable(&self, place: &TypeRef) -> bool {
        match (self, place) {
            (Self::Named { id: one, .. }, Self::Named { id: other, .. }) => one == other,
            (Self::List { of: one, .. }, Self::List { of: other, .. }) => one.fits(other),
            _ => false,
        }
    }
}

impl fmt::Display for TypeRef {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Named { name, .. } => out.write_str(name)?,
            Self::List { of, .. } => write!(out, "[{of}]")?,
        }
        out.write_str(if self.non_null() { "!" } else { "" })
    }
}

impl SchemaModel {
    /// The core API of 0.19.11, built on first use.
    pub fn core() -> Arc<Self> {
        Arc::clone(&CORE)
    }

    /// Reads schema files, each given as name and text. `version` is what `__schemaVersion` answers.
    ///
    /// # Errors
    /// [`SdlError`] when a file does not parse or refers to what is not there.
    pub fn read(version: &str, files: &[(&str, &str)]) -> Result<Self, SdlError> {
        build::build(version, read::read(files)?)
    }

    /// The view that this schema is of.
    pub fn version(&self) -> &Arc<str> {
        &self.version
    }

    /// All types, sorted by name.
    pub fn types(&self) -> &[TypeDef] {
        &self.types
    }

    /// All directives, sorted by name.
    pub fn directives(&self) -> &[DirectiveDef] {
        &self.directives
    }

    /// The type at a place.
    pub fn get(&self, id: TypeId) -> &TypeDef {
        &self.types[id.index()]
    }

    /// The type of that name.
    pub fn named(&self, name: &str) -> Option<&TypeDef> {
        self.by_name.get(name).map(|id| self.get(*id))
    }

    /// The root type.
    pub fn query(&self) -> &TypeDef {
        self.get(self.query)
    }

    /// The field of that name, `__typename` included.
    pub fn field(&self, owner: TypeId, name: &str) -> Option<&FieldDef> {
        let owner = self.get(owner);
        match owner.by_name.get(name) {
            Some(at) => Some(&owner.fields[*at]),
            None if name == "__typename" && owner.kind == TypeKind::Object => Some(&self.typename),
            None => None,
        }
    }

    pub(crate) fn typename(&self) -> &FieldDef {
        &self.typename
    }

    /// Where a field stands among those of its owner.
    pub(crate) fn index_of(&self, field: &FieldDef) -> u32 {
        self.get(field.owner).by_name.get(&field.name).map_or(u32::MAX, |at| *at as u32)
    }

    /// The arguments of `@skip` and `@include`.
    pub(crate) fn condition(&self) -> &[ArgDef] {
        std::slice::from_ref(&self.condition)
    }

    /// How many ordinals of fields there are.
    pub fn field_count(&self) -> usize {
        self.field_count
    }
}

impl TypeDef {
    /// The enum member of that name.
    pub fn value(&self, name: &str) -> Option<&EnumValueDef> {
        if self.kind == TypeKind::Enum { self.by_name.get(name).map(|at| &self.values[*at]) } else { None }
    }
}

#[cfg(test)]
mod tests;
