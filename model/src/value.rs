//! Values of the API: what a call answers.

use std::sync::Arc;

use crate::{
    Address, CacheVolume, Container, Directory, EnvFile, ErrorValue, ExposedPort, File, GitRef,
    GitRepository, JsonValue, ReportedError, Secret,
};

/// What a call answers. Cheap to clone.
#[derive(Clone, Debug)]
pub enum Value {
    /// Absent.
    Null,
    /// Boolean.
    Bool(bool),
    /// 64-bit integer.
    Int(i64),
    /// Floating point.
    Float(f64),
    /// Text; also ids, scalars and enum members.
    Text(Arc<str>),
    /// List, of one kind of value.
    List(Arc<[Self]>),
    /// An object with fields of its own.
    Object(Object),
}

impl Value {
    /// A text value.
    pub fn text(text: impl Into<Arc<str>>) -> Self {
        Self::Text(text.into())
    }

    /// A list of texts.
    pub fn texts<T: Into<Arc<str>>>(texts: impl IntoIterator<Item = T>) -> Self {
        Self::List(texts.into_iter().map(|text| Self::Text(text.into())).collect())
    }

    /// A list of objects.
    pub fn objects(objects: impl IntoIterator<Item = Object>) -> Self {
        Self::List(objects.into_iter().map(Self::Object).collect())
    }
}

/// An object of the API. Cheap to clone.
#[derive(Clone, Debug)]
pub enum Object {
    /// The root.
    Query,
    /// A container.
    Container(Arc<Container>),
    /// A directory.
    Directory(Arc<Directory>),
    /// A file.
    File(Arc<File>),
    /// A secret.
    Secret(Arc<Secret>),
    /// A cache volume.
    CacheVolume(Arc<CacheVolume>),
    /// The client's machine.
    Host,
    /// A variable: name and value.
    EnvVariable(Arc<str>, Arc<str>),
    /// A label: name and value.
    Label(Arc<str>, Arc<str>),
    /// An exposed port.
    Port(Arc<ExposedPort>),
    /// What is known of a file without reading it.
    Stat(Arc<Stat>),
    /// Variables as in a `.env` file.
    EnvFile(Arc<EnvFile>),
    /// A JSON value.
    JsonValue(Arc<JsonValue>),
    /// A failure that a function reports.
    ReportedError(Arc<ReportedError>),
    /// One value of a reported failure.
    ErrorValue(Arc<ErrorValue>),
    /// A text that names something elsewhere.
    Address(Arc<Address>),
    /// A git repository.
    GitRepository(Arc<GitRepository>),
    /// A commit of a git repository.
    GitRef(Arc<GitRef>),
}

impl Object {
    /// Name of its GraphQL type.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Query => "Query",
            Self::Container(_) => "Container",
            Self::Directory(_) => "Directory",
            Self::File(_) => "File",
            Self::Secret(_) => "Secret",
            Self::CacheVolume(_) => "CacheVolume",
            Self::Host => "Host",
            Self::EnvVariable(..) => "EnvVariable",
            Self::Label(..) => "Label",
            Self::Port(_) => "Port",
            Self::Stat(_) => "Stat",
            Self::EnvFile(_) => "EnvFile",
            Self::JsonValue(_) => "JSONValue",
            Self::ReportedError(_) => "Error",
            Self::ErrorValue(_) => "ErrorValue",
            Self::Address(_) => "Address",
            Self::GitRepository(_) => "GitRepository",
            Self::GitRef(_) => "GitRef",
        }
    }
}

macro_rules! into_value {
    ($($type:ty => $variant:ident),* $(,)?) => {$(
        impl From<$type> for Object {
            fn from(value: $type) -> Self {
                Self::$variant(Arc::new(value))
            }
        }
        impl From<$type> for Value {
            fn from(value: $type) -> Self {
                Self::Object(value.into())
            }
        }
    )*};
}

into_value! {
    Container => Container, Directory => Directory, File => File, Secret => Secret, CacheVolume => CacheVolume,
    ExposedPort => Port, Stat => Stat, EnvFile => EnvFile, JsonValue => JsonValue,
    ReportedError => ReportedError, ErrorValue => ErrorValue, Address => Address,
    GitRepository => GitRepository, GitRef => GitRef,
}

impl From<Object> for Value {
    fn from(object: Object) -> Self {
        Self::Object(object)
    }
}

/// Kind of a file, by its output name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileType {
    /// Something else: a device, a socket, a pipe.
    Unknown,
    /// Ordinary file.
    Regular,
    /// Directory.
    Directory,
    /// Symbolic link.
    Symlink,
}

impl FileType {
    /// The enum member that is answered.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "UNKNOWN",
            Self::Regular => "REGULAR",
            Self::Directory => "DIRECTORY",
            Self::Symlink => "SYMLINK",
        }
    }
}

/// What is known of a file without reading it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stat {
    /// Base name.
    pub name: Arc<str>,
    /// Bytes.
    pub size: i64,
    /// Kind.
    pub file_type: FileType,
    /// Permission bits, `0o777` at most.
    pub permissions: u32,
}
