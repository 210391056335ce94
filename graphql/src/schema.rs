//! The fields of the API, one file a family, twins of the files of `model/`.

use std::collections::HashMap;

use crate::binding::Binding;

mod address;
mod container;
mod directory;
mod dockerfile;
mod envfile;
mod error_value;
mod file;
mod files;
mod git;
mod host;
mod http;
mod image;
mod json_value;
mod query;
mod secret;
mod values;

/// All bound fields by parent and name.
///
/// # Panics
/// A field bound twice is a mistake of ours.
pub(crate) fn bindings() -> HashMap<(&'static str, &'static str), Binding> {
    let families = [
        address::bindings(),
        container::bindings(),
        directory::bindings(),
        dockerfile::bindings(),
        envfile::bindings(),
        error_value::bindings(),
        file::bindings(),
        git::bindings(),
        host::bindings(),
        http::bindings(),
        image::bindings(),
        json_value::bindings(),
        query::bindings(),
        secret::bindings(),
        values::bindings(),
    ];
    let mut table = HashMap::new();
    for binding in families.into_iter().flatten() {
        let key = (binding.parent, binding.field);
        assert!(table.insert(key, binding).is_none(), "{}.{} is bound twice", key.0, key.1);
    }
    table
}
