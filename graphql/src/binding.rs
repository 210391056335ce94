//! Binds plain functions to the fields of the schema, each with a typed argument struct.
//!
//! Invariant: a field of the schema that has a binding names exactly the arguments that the schema declares, and
//! of the types it declares; a test compares them. A field without one answers `UNSUPPORTED`.

use std::collections::{BTreeMap, HashMap};
use std::future::Future;
use std::sync::Arc;

use futures::future::BoxFuture;
use treenail_call::{CallId, Digest, Literal};
use treenail_engine::{Cause, Engine, Request, Resolved, Rule};
use treenail_model::{
    Address, CacheVolume, Container, Directory, EnvFile, ErrorValue, ExposedPort, File, GitRef,
    GitRepository, JsonValue, Object, ReportedError, Secret, Stat,
};

/// What a field function answers.
pub(crate) type Outcome = Result<Resolved, Cause>;

/// What a field function gets besides its receiver and its arguments.
pub(crate) struct Call {
    /// For look-ups and further calls.
    pub(crate) engine: Engine,
    /// The call itself.
    pub(crate) id: CallId,
}

impl Call {
    /// The ID of the value that the field is selected on, as text.
    pub(crate) fn receiver_id(&self) -> Result<treenail_model::Value, Cause> {
        let receiver = self.id.receiver().ok_or_else(|| Cause::Bug("the root has no ID".to_owned()))?;
        Ok(treenail_model::Value::text(receiver.encode()))
    }
}

/// Defaults of a field's arguments, as they would have been written in a call.
pub(crate) type Defaults = BTreeMap<Arc<str>, Literal>;

type Run = Box<dyn Fn(Request, &Defaults) -> BoxFuture<'static, Outcome> + Send + Sync>;

/// One bound field.
pub(crate) struct Binding {
    pub(crate) parent: &'static str,
    pub(crate) field: &'static str,
    pub(crate) rule: fn(&CallId) -> Rule,
    pub(crate) arguments: Vec<(&'static str, &'static str)>,
    pub(crate) run: Run,
}

/// Binds a function to `parent.field`, where the parent is told by the function's first parameter. The result is
/// remembered by the call's digest; [`Binding::remembered`] says otherwise.
pub(crate) fn field<R, A, F, Fut>(field: &'static str, function: F) -> Binding
where
    R: Receiver,
    A: Arguments + 'static,
    F: Fn(R, A, Call) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Outcome> + Send + 'static,
{
    Binding {
        parent: R::TYPE,
        field,
        rule: |_| Rule::Plain,
        arguments: A::arguments(),
        run: Box::new(move |request, defaults| {
            let read = R::take(request.receiver).and_then(|receiver| {
                A::read(&Reader { id: &request.id, objects: &request.objects, defaults })
                    .map(|args| (receiver, args))
            });
            match read {
                Ok((receiver, args)) => {
                    Box::pin(function(receiver, args, Call { engine: request.engine, id: request.id }))
                }
                Err(cause) => Box::pin(std::future::ready(Err(cause))),
            }
        }),
    }
}

impl Binding {
    /// Sets the cache rule.
    pub(crate) fn remembered(mut self, rule: fn(&CallId) -> Rule) -> Self {
        self.rule = rule;
        self
    }

    /// Always runs: it asks nobody and costs less than the room its result would take.
    pub(crate) fn pure(self) -> Self {
        self.remembered(|_| Rule::Pure)
    }

    /// Always runs, and its result is not kept.
    pub(crate) fn never_remembered(self) -> Self {
        self.remembered(|_| Rule::Never)
    }
}

/// A type that fields are selected on.
pub(crate) trait Receiver: Sized + Send + 'static {
    /// Its GraphQL name.
    const TYPE: &'static str;

    /// Takes it out of a value.
    fn take(object: Object) -> Result<Self, Cause>;
}

/// The root of the API.
pub(crate) struct Root;

/// The client's machine.
pub(crate) struct HostMachine;

/// A variable.
pub(crate) struct EnvVariable(pub(crate) Arc<str>, pub(crate) Arc<str>);

/// A label.
pub(crate) struct Label(pub(crate) Arc<str>, pub(crate) Arc<str>);

macro_rules! receiver {
    ($type:ty, $name:literal, $pattern:pat => $value:expr) => {
        impl Receiver for $type {
            const TYPE: &'static str = $name;

            fn take(object: Object) -> Result<Self, Cause> {
                match object {
                    $pattern => Ok($value),
                    other => Err(Cause::Bug(format!("a {} where a {} belongs", other.type_name(), $name))),
                }
            }
        }
    };
}

receiver!(Root, "Query", Object::Query => Self);
receiver!(HostMachine, "Host", Object::Host => Self);
receiver!(Arc<Container>, "Container", Object::Container(value) => value);
receiver!(Arc<Directory>, "Directory", Object::Directory(value) => value);
receiver!(Arc<File>, "File", Object::File(value) => value);
receiver!(Arc<Secret>, "Secret", Object::Secret(value) => value);
receiver!(Arc<CacheVolume>, "CacheVolume", Object::CacheVolume(value) => value);
receiver!(Arc<ExposedPort>, "Port", Object::Port(value) => value);
receiver!(Arc<Stat>, "Stat", Object::Stat(value) => value);
receiver!(Arc<EnvFile>, "EnvFile", Object::EnvFile(value) => value);
receiver!(Arc<JsonValue>, "JSONValue", Object::JsonValue(value) => value);
receiver!(Arc<ReportedError>, "Error", Object::ReportedError(value) => value);
receiver!(Arc<ErrorValue>, "ErrorValue", Object::ErrorValue(value) => value);
receiver!(Arc<Address>, "Address", Object::Address(value) => value);
receiver!(Arc<GitRepository>, "GitRepository", Object::GitRepository(value) => value);
receiver!(Arc<GitRef>, "GitRef", Object::GitRef(value) => value);
receiver!(EnvVariable, "EnvVariable", Object::EnvVariable(name, value) => Self(name, value));
receiver!(Label, "Label", Object::Label(name, value) => Self(name, value));

/// Reads the arguments of one call.
pub(crate) struct Reader<'a> {
    id: &'a CallId,
    objects: &'a HashMap<Digest, Object>,
    defaults: &'a Defaults,
}

impl Reader<'_> {
    /// The value of an argument: as passed, else its default, else absent.
    pub(crate) fn get<T: FromLiteral>(&self, name: &'static str) -> Result<T, Cause> {
        let literal = self.id.arg(name).or_else(|| self.defaults.get(name)).unwrap_or(&Literal::Null);
        T::from_literal(literal, self.objects).map_err(|problem| match literal {
            Literal::Null => Cause::invalid(format!("missing required argument: {name:?}")),
            _ => Cause::invalid(format!("argument {name:?}: {problem}")),
        })
    }
}

/// A struct of arguments.
pub(crate) trait Arguments: Sized + Send {
    /// Names and types, in the words of the schema.
    fn arguments() -> Vec<(&'static str, &'static str)>;

    /// Reads them.
    fn read(reader: &Reader<'_>) -> Result<Self, Cause>;
}

/// No arguments.
pub(crate) struct NoArguments;

impl Arguments for NoArguments {
    fn arguments() -> Vec<(&'static str, &'static str)> {
        Vec::new()
    }

    fn read(_: &Reader<'_>) -> Result<Self, Cause> {
        Ok(Self)
    }
}

/// Declares a struct of arguments: `arguments!(WithUser { name: String = "name" });`
macro_rules! arguments {
    ($name:ident { $($field:ident: $type:ty = $argument:literal),* $(,)? }) => {
        struct $name {
            $($field: $type,)*
        }

        impl $crate::binding::Arguments for $name {
            fn arguments() -> Vec<(&'static str, &'static str)> {
                vec![$(($argument, <$type as $crate::binding::FromLiteral>::TYPE)),*]
            }

            fn read(reader: &$crate::binding::Reader<'_>) -> Result<Self, treenail_engine::Cause> {
                Ok(Self { $($field: reader.get($argument)?),* })
            }
        }
    };
}
pub(crate) use arguments;

/// A type that an argument can have.
pub(crate) trait FromLiteral: Sized {
    /// Its type in the schema, without the mark for required.
    const TYPE: &'static str;

    /// Reads it; the error says what else was found.
    fn from_literal(literal: &Literal, objects: &HashMap<Digest, Object>) -> Result<Self, String>;
}

macro_rules! scalar {
    ($type:ty, $name:literal, $pattern:pat => $value:expr) => {
        impl FromLiteral for $type {
            const TYPE: &'static str = $name;

            fn from_literal(literal: &Literal, _: &HashMap<Digest, Object>) -> Result<Self, String> {
                match literal {
                    $pattern => Ok($value),
                    other => Err(format!("{other:?} is not a {}", $name)),
                }
            }
        }
    };
}

scalar!(bool, "Boolean", Literal::Bool(value) => *value);
scalar!(i64, "Int", Literal::Int(value) => *value);
scalar!(Arc<str>, "String", Literal::String(value) => value.clone());

impl FromLiteral for String {
    const TYPE: &'static str = "String";

    fn from_literal(literal: &Literal, _: &HashMap<Digest, Object>) -> Result<Self, String> {
        match literal {
            Literal::String(value) => Ok(value.to_string()),
            other => Err(format!("{other:?} is not a String")),
        }
    }
}

/// JSON as text; it is read only where a field says so.
pub(crate) struct JsonText(pub(crate) Arc<str>);

scalar!(JsonText, "JSON", Literal::String(value) => Self(value.clone()));

/// An enum's member, by its value.
macro_rules! member {
    ($type:ty, $name:literal, { $($member:literal => $value:expr),* $(,)? }) => {
        impl $crate::binding::FromLiteral for $type {
            const TYPE: &'static str = $name;

            fn from_literal(
                literal: &treenail_call::Literal,
                _: &std::collections::HashMap<treenail_call::Digest, treenail_model::Object>,
            ) -> Result<Self, String> {
                match literal {
                    treenail_call::Literal::Enum(member) => match &**member {
                        $($member => Ok($value),)*
                        other => Err(format!("invalid enum member {other:?} for {}", $name)),
                    },
                    other => Err(format!("{other:?} is not a {}", $name)),
                }
            }
        }
    };
}
pub(crate) use member;

/// A platform specifier.
impl FromLiteral for treenail_model::Platform {
    const TYPE: &'static str = "Platform";

    fn from_literal(literal: &Literal, _: &HashMap<Digest, Object>) -> Result<Self, String> {
        match literal {
            Literal::String(text) => Self::parse(text).map_err(|error| error.to_string()),
            other => Err(format!("{other:?} is not a Platform")),
        }
    }
}

impl<T: FromLiteral> FromLiteral for Option<T> {
    const TYPE: &'static str = T::TYPE;

    fn from_literal(literal: &Literal, objects: &HashMap<Digest, Object>) -> Result<Self, String> {
        match literal {
            Literal::Null => Ok(None),
            other => T::from_literal(other, objects).map(Some),
        }
    }
}

/// Lists carry the type of their elements; the test adds the brackets by the schema's own word.
impl<T: FromLiteral> FromLiteral for Vec<T> {
    const TYPE: &'static str = T::TYPE;

    fn from_literal(literal: &Literal, objects: &HashMap<Digest, Object>) -> Result<Self, String> {
        match literal {
            Literal::List(items) => items.iter().map(|item| T::from_literal(item, objects)).collect(),
            other => Err(format!("{other:?} is not a list")),
        }
    }
}

macro_rules! object_argument {
    ($type:ident, $name:literal) => {
        impl FromLiteral for Arc<$type> {
            const TYPE: &'static str = $name;

            fn from_literal(literal: &Literal, objects: &HashMap<Digest, Object>) -> Result<Self, String> {
                match literal {
                    Literal::Id(id) => match objects.get(id.digest()) {
                        Some(Object::$type(value)) => Ok(value.clone()),
                        Some(other) => {
                            Err(format!("expected a {}, got a {}", stringify!($type), other.type_name()))
                        }
                        None => Err("the ID was not loaded".to_owned()),
                    },
                    other => Err(format!("{other:?} is not an ID")),
                }
            }
        }
    };
}

object_argument!(Container, "ContainerID");
object_argument!(Directory, "DirectoryID");
object_argument!(File, "FileID");
object_argument!(Secret, "SecretID");
object_argument!(CacheVolume, "CacheVolumeID");
object_argument!(EnvFile, "EnvFileID");
object_argument!(JsonValue, "JSONValueID");
