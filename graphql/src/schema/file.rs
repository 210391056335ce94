//! File: the twin of `model/src/file.rs`.

use std::path::Path;
use std::sync::Arc;

use treenail_engine::{Cause, ExportTarget};
use treenail_model::{Directory, File, Replacement, Tree, Value};

use super::directory::numeric_owner;
use super::files;
use crate::binding::{Binding, Call, NoArguments, Outcome, arguments, field};

type This = Arc<File>;

arguments!(Contents { offset: Option<i64> = "offsetLines", limit: Option<i64> = "limitLines" });
arguments!(Name { name: String = "name" });
arguments!(Timestamp { timestamp: i64 = "timestamp" });
arguments!(Chown { owner: String = "owner" });
arguments!(Replaced {
    search: String = "search",
    replacement: String = "replacement",
    all: bool = "all",
    first_from: Option<i64> = "firstFrom",
});
arguments!(Export { path: String = "path", allow_parent: bool = "allowParentDirPath" });

pub(super) fn bindings() -> Vec<Binding> {
    vec![
        field("id", |_: This, _: NoArguments, call: Call| async move { Ok(call.receiver_id()?.into()) }),
        field("sync", |this: This, _: NoArguments, call: Call| async move {
            call.engine.solve(&this.tree).await?;
            Ok(call.receiver_id()?.into())
        }),
        field("name", |this: This, _: NoArguments, _| async move { Ok(Value::text(this.name()).into()) }),
        field("contents", |this: This, a: Contents, call: Call| async move {
            let bytes = call.engine.read_file(&this).await?;
            Ok(Value::text(lines(&String::from_utf8_lossy(&bytes), a.offset, a.limit)).into())
        }),
        field("size", |this: This, _: NoArguments, call: Call| async move {
            let root = Directory::whole(this.tree.clone(), this.platform.clone());
            let stat = call.engine.stat(&root, &this.path).await?;
            let missing = || Cause::invalid(format!("stat {}: no such file or directory", this.name()));
            Ok(Value::Int(stat.ok_or_else(missing)?.size).into())
        }),
        field("stat", |this: This, _: NoArguments, call: Call| async move {
            files::stat_file(&call.engine, &this).await
        }),
        field("withName", |this: This, a: Name, _| async move {
            Ok(this.with_name(&a.name).map_err(Cause::invalid)?.into())
        }),
        field("withTimestamps", |this: This, a: Timestamp, _| async move {
            Ok(this.with_timestamps(a.timestamp).into())
        }),
        field("chown", |this: This, a: Chown, _| async move {
            let owner = numeric_owner(&a.owner)?.ok_or_else(|| Cause::invalid("owner cannot be empty"))?;
            Ok(this.with_owner(owner).into())
        }),
        field("withReplaced", with_replaced),
        field("export", export).never_remembered(),
    ]
}

/// A window of lines; line ends are kept.
fn lines(text: &str, offset: Option<i64>, limit: Option<i64>) -> String {
    if offset.is_none() && limit.is_none() {
        return text.to_owned();
    }
    let count = |number: i64| usize::try_from(number).unwrap_or(0);
    let rest = text.split_inclusive('\n').skip(offset.map_or(0, count));
    match limit {
        Some(limit) => rest.take(count(limit)).collect(),
        None => rest.collect(),
    }
}

/// Reads the file now, since no operation of the daemon searches; that nothing fits is an error when the file is
/// needed.
async fn with_replaced(this: This, args: Replaced, call: Call) -> Outcome {
    let Replaced { search, replacement, all, first_from } = args;
    let contents = call.engine.read_file(&this).await?;
    let (mode, owner) = call.engine.mode_and_owner(&this).await?;
    let tree = match (Replacement { search, replacement, all, first_from }).apply(&contents) {
        Ok(changed) => {
            let whole = Directory::whole(Tree::scratch(), this.platform.clone());
            files::with_new_file(&call.engine, &whole, this.name(), changed, mode, Some(owner)).tree
        }
        Err(invalid) => Tree::poisoned(invalid.0),
    };
    Ok(File { tree, path: format!("/{}", this.name()).into(), platform: this.platform.clone() }.into())
}

/// Writes the file to the client.
async fn export(this: This, args: Export, call: Call) -> Outcome {
    let mut path = call.engine.host().resolve(&args.path);
    if path.is_dir() || args.path.ends_with('/') {
        if !args.allow_parent {
            return Err(Cause::invalid(format!(
                "destination {:?} is a directory; must be a file path unless allowParentDirPath is set",
                path.to_string_lossy()
            )));
        }
        path = path.join(this.name());
    }
    // A tree that holds the file alone, under the name it gets.
    let name = path
        .file_name()
        .map_or_else(|| this.name().to_owned(), |name| Path::new(name).to_string_lossy().into_owned());
    let whole = Directory::whole(Tree::scratch(), this.platform.clone());
    let alone = whole.with_file(&name, &this, None, None);
    call.engine.export_tree(&alone.tree, ExportTarget::File { path: path.clone() }).await?;
    Ok(Value::text(path.to_string_lossy()).into())
}

#[cfg(test)]
mod tests {
    use super::lines;

    #[test]
    fn windows_of_lines() {
        let text: String = (1..=12).map(|number| format!("{number}\n")).collect();
        assert_eq!(lines(&text, Some(5), Some(5)), "6\n7\n8\n9\n10\n");
        assert_eq!(lines(&text, None, Some(0)), "");
        assert_eq!(lines("a\nb", Some(1), None), "b");
        assert_eq!(lines("a\nb", Some(7), None), "");
    }
}
