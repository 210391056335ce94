//! What has no meaning at this door, and what to do instead.
//!
//! A build has one result, which its client exports; its machine shows the build context and nothing else. Calls that
//! need more are refused before anything runs, by the same typed error as what is not built.

use std::sync::Arc;

use futures::future::BoxFuture;
use treenail_call::{CallId, Literal};
use treenail_engine::{Cause, Fields, Request, Resolved, Rule};

const RESULT: &str = "a build has one result, which buildx exports: select `id` of what is to leave the build, and \
                      name the destination with --output or --push";
const SECRETS: &str =
    "a build knows the secrets that buildx passes, by id, and this release does not take them yet";
const MACHINE: &str = "a build sees its build context, as host.directory, and nothing else of the machine";
const LOGIN: &str = "buildx answers for registries with the logins of its machine: use `docker login`";

/// Fields that are refused.
const REFUSED: &[(&str, &str, &str)] = &[
    ("Container", "publish", RESULT),
    ("Container", "export", RESULT),
    ("Container", "exportImage", RESULT),
    ("Container", "asTarball", RESULT),
    ("Container", "import", "an archive cannot enter a build: name the image with `from`"),
    ("Container", "withRegistryAuth", LOGIN),
    ("Container", "withoutRegistryAuth", LOGIN),
    ("Directory", "export", RESULT),
    ("File", "export", RESULT),
    ("Host", "findUp", MACHINE),
    ("Query", "address", MACHINE),
    ("Query", "git", "git repositories are not in this release of the frontend: clone in a command"),
    ("Query", "setSecret", SECRETS),
    ("Query", "secret", SECRETS),
];

/// The fields of the API as far as they mean something in a build.
pub(crate) struct Door(Arc<dyn Fields>);

impl Door {
    pub(crate) fn new() -> Self {
        Self(treenail_graphql::fields())
    }
}

impl Fields for Door {
    fn rule(&self, type_name: &str, call: &CallId) -> Result<Rule, Cause> {
        let field = call.field();
        if let Some((_, _, hint)) = REFUSED.iter().find(|(of, name, _)| *of == type_name && *name == &**field)
        {
            return Err(refused(format!("{type_name}.{field}"), hint));
        }
        if (type_name, &**field) == ("Host", "directory")
            && matches!(call.arg("gitignore"), Some(Literal::Bool(true)))
        {
            let hint =
                "a build context is filtered by its .dockerignore: put the patterns there, or into `exclude`";
            return Err(refused("Host.directory(gitignore:)".to_owned(), hint));
        }
        self.0.rule(type_name, call)
    }

    fn resolve(&self, request: Request) -> BoxFuture<'static, Result<Resolved, Cause>> {
        self.0.resolve(request)
    }
}

fn refused(field: String, hint: &str) -> Cause {
    Cause::Unsupported {
        field,
        capability: "frontend".to_owned(),
        since: String::new(),
        hint: hint.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use treenail_graphql::sdl::SchemaModel;

    use super::REFUSED;

    #[test]
    fn what_is_refused_exists() {
        let model = SchemaModel::core();
        for (type_name, field, _) in REFUSED {
            let found = model
                .named(type_name)
                .is_some_and(|def| def.fields.iter().any(|known| &*known.name == *field));
            assert!(found, "{type_name}.{field}");
        }
    }
}
