//! Directory: the twin of `model/src/directory.rs`.

use std::sync::Arc;

use treenail_engine::{Cause, ExportTarget};
use treenail_model::{Directory, File, FileType, Object, OwnerText, Value, paths};
use treenail_patterns::PatternMatcher;

use super::container::{IntoResolved, mode};
use super::files::{self, CopyPatterns, ExistsType};
use crate::binding::{Binding, Call, NoArguments, Outcome, arguments, field};

type This = Arc<Directory>;

arguments!(PathArgument { path: String = "path" });
arguments!(OptionalPath { path: Option<String> = "path" });
arguments!(Paths { paths: Vec<String> = "paths" });
arguments!(Pattern { pattern: String = "pattern" });
arguments!(Exists {
    path: String = "path",
    expected: Option<ExistsType> = "expectedType",
    no_follow: bool = "doNotFollowSymlinks",
});
arguments!(StatArguments { path: String = "path", no_follow: bool = "doNotFollowSymlinks" });
arguments!(FindUp { name: String = "name", start: String = "start" });
arguments!(Filter {
    exclude: Vec<String> = "exclude",
    include: Vec<String> = "include",
    gitignore: bool = "gitignore",
});
arguments!(WithDirectory {
    path: String = "path",
    source: Arc<Directory> = "source",
    exclude: Vec<String> = "exclude",
    include: Vec<String> = "include",
    gitignore: bool = "gitignore",
    owner: String = "owner",
});
arguments!(WithFile {
    path: String = "path",
    source: Arc<File> = "source",
    permissions: Option<i64> = "permissions",
    owner: String = "owner",
});
arguments!(WithFiles {
    path: String = "path",
    sources: Vec<Arc<File>> = "sources",
    permissions: Option<i64> = "permissions",
});
arguments!(WithNewFile {
    path: String = "path",
    contents: String = "contents",
    permissions: i64 = "permissions"
});
arguments!(WithNewDirectory { path: String = "path", permissions: i64 = "permissions" });
arguments!(WithSymlink { target: String = "target", link: String = "linkName" });
arguments!(Timestamp { timestamp: i64 = "timestamp" });
arguments!(Chown { path: String = "path", owner: String = "owner" });
arguments!(Other { other: Arc<Directory> = "other" });
arguments!(Export { path: String = "path", wipe: bool = "wipe" });
arguments!(ErrorText { err: String = "err" });

pub(super) fn bindings() -> Vec<Binding> {
    let mut all = reading();
    all.extend(changing());
    all
}

fn reading() -> Vec<Binding> {
    vec![
        field("id", |_: This, _: NoArguments, call: Call| async move { Ok(call.receiver_id()?.into()) }),
        field("sync", |this: This, _: NoArguments, call: Call| async move {
            call.engine.solve(&this.tree).await?;
            Ok(call.receiver_id()?.into())
        }),
        field("name", |this: This, _: NoArguments, _| async move { Ok(Value::text(this.name()).into()) }),
        field("entries", |this: This, a: OptionalPath, call: Call| async move {
            let entries = call.engine.read_dir(&this, &a.path.unwrap_or_default()).await?;
            let mut names: Vec<String> = entries
                .iter()
                .map(|entry| match entry.file_type {
                    FileType::Directory => format!("{}/", entry.name),
                    _ => entry.name.to_string(),
                })
                .collect();
            names.sort();
            Ok(Value::texts(names).into())
        }),
        field("glob", glob),
        field("exists", |this: This, a: Exists, call: Call| async move {
            files::exists(&call.engine, &this, &a.path, a.expected, a.no_follow).await
        }),
        field("stat", |this: This, a: StatArguments, call: Call| async move {
            files::stat(&call.engine, &this, &a.path, &a.path, a.no_follow).await
        }),
        field("findUp", find_up),
        field("directory", |this: This, a: PathArgument, call: Call| async move {
            if matches!(a.path.as_str(), "" | "." | "/") {
                return Ok(Object::Directory(this).into_value());
            }
            files::check(&call.engine, &this, &a.path, &a.path, true).await?;
            Ok(this.sub(&a.path).into())
        }),
        field("file", |this: This, a: PathArgument, call: Call| async move {
            files::check(&call.engine, &this, &a.path, &a.path, false).await?;
            Ok(this.file(&a.path).into())
        }),
        field("export", export).never_remembered(),
    ]
}

/// Paths that match one pattern; a matched directory does not bring its children along.
async fn glob(this: This, args: Pattern, call: Call) -> Outcome {
    let matcher = PatternMatcher::new(&[args.pattern.as_str()]).map_err(Cause::invalid)?;
    let entries = call.engine.walk(&this).await?;
    let mut found = Vec::new();
    for entry in entries {
        if matcher.matches_exactly(&entry.path) {
            found.push(match entry.stat.file_type {
                FileType::Directory => format!("{}/", entry.path),
                _ => entry.path,
            });
        }
    }
    Ok(Value::texts(found).into())
}

/// The nearest `name` from `start` up to this directory's root.
async fn find_up(this: This, args: FindUp, call: Call) -> Outcome {
    if args.name.is_empty() {
        return Err(Cause::invalid("name cannot be empty"));
    }
    if paths::escapes(args.start.trim_start_matches('/')) {
        return Err(Cause::invalid(format!("cannot search outside parent: {}", args.start)));
    }
    let mut folder = paths::clean(&args.start);
    loop {
        let candidate = paths::clean(&format!("{folder}/{}", args.name));
        if call.engine.stat_link(&this, &candidate).await?.is_some() {
            return Ok(Value::text(candidate.trim_start_matches('/')).into());
        }
        if folder == "/" {
            return Ok(Value::Null.into());
        }
        folder = paths::parent(&folder).to_owned();
    }
}

/// Writes the directory's content into a directory of the client.
async fn export(this: This, args: Export, call: Call) -> Outcome {
    let path = call.engine.host().resolve(&args.path);
    let target = ExportTarget::Directory { path: path.clone(), wipe: args.wipe };
    call.engine.export_tree(&this.rebased().tree, target).await?;
    Ok(Value::text(path.to_string_lossy()).into())
}

fn changing() -> Vec<Binding> {
    vec![
        field("filter", |this: This, a: Filter, call: Call| async move {
            let patterns = CopyPatterns { include: a.include, exclude: a.exclude, gitignore: a.gitignore };
            let filter = files::filter(&call.engine, &this, patterns).await?;
            Ok(this.filter(&filter).into())
        }),
        field("withDirectory", |this: This, a: WithDirectory, call: Call| async move {
            let owner = numeric_owner(&a.owner)?;
            let patterns = CopyPatterns { include: a.include, exclude: a.exclude, gitignore: a.gitignore };
            let filter = files::filter(&call.engine, &a.source, patterns).await?;
            Ok(this.with_directory(&a.path, &a.source, &filter, owner).into())
        }),
        field("withFile", |this: This, a: WithFile, _| async move {
            let owner = numeric_owner(&a.owner)?;
            let permissions = a.permissions.map(mode).transpose()?;
            Ok(this.with_file(&a.path, &a.source, permissions, owner).into())
        }),
        field("withFiles", |this: This, a: WithFiles, _| async move {
            let permissions = a.permissions.map(mode).transpose()?;
            let mut next = (*this).clone();
            for source in &a.sources {
                next = next.with_file(&format!("{}/{}", a.path, source.name()), source, permissions, None);
            }
            Ok(next.into())
        }),
        field("withNewFile", |this: This, a: WithNewFile, call: Call| async move {
            let permissions = mode(a.permissions)?;
            Ok(files::with_new_file(&call.engine, &this, &a.path, &a.contents, permissions, None).into())
        }),
        field("withNewDirectory", |this: This, a: WithNewDirectory, _| async move {
            Ok(this.with_new_directory(&a.path, mode(a.permissions)?).into())
        }),
        field("withoutDirectory", |this: This, a: PathArgument, _| async move { without(&this, &[a.path]) }),
        field("withoutFile", |this: This, a: PathArgument, _| async move { without(&this, &[a.path]) }),
        field("withoutFiles", |this: This, a: Paths, _| async move { without(&this, &a.paths) }),
        field("withSymlink", |this: This, a: WithSymlink, _| async move {
            Ok(this.with_symlink(&a.target, &a.link).into())
        }),
        field("withTimestamps", |this: This, a: Timestamp, _| async move {
            Ok(this.with_timestamps(a.timestamp).into())
        }),
        field("chown", |this: This, a: Chown, _| async move {
            let owner = numeric_owner(&a.owner)?.ok_or_else(|| Cause::invalid("owner cannot be empty"))?;
            Ok(this.chown(&a.path, owner).into())
        }),
        field("diff", |this: This, a: Other, _| async move { Ok(this.diff(&a.other).into()) }),
        field("withError", |this: This, a: ErrorText, _| async move {
            if a.err.is_empty() {
                Ok(Object::Directory(this).into_value())
            } else {
                Err(Cause::Invalid(a.err))
            }
        }),
    ]
}

fn without(this: &Directory, removed: &[String]) -> Outcome {
    let mut next = this.clone();
    for path in removed {
        next = next.without(path).map_err(Cause::invalid)?;
    }
    Ok(next.into())
}

/// An owner of a directory or a file: numbers only.
pub(super) fn numeric_owner(text: &str) -> Result<Option<treenail_model::Owner>, Cause> {
    OwnerText::parse(text).map(|owner| owner.numeric(text)).transpose().map_err(Cause::invalid)
}
