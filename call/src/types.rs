//! The type of a call's result.

use std::fmt;
use std::sync::Arc;

/// A GraphQL type: a name or a list, each nullable or not. Shown as GraphQL writes it: `[Container!]!`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Type {
    /// The name; empty for a list.
    pub named: Arc<str>,
    /// The type of the elements of a list.
    pub elem: Option<Box<Type>>,
    /// Whether the value cannot be null.
    pub non_null: bool,
}

impl Type {
    /// `name!`
    pub fn required(name: impl Into<Arc<str>>) -> Self {
        Self { named: name.into(), elem: None, non_null: true }
    }

    /// `name`
    pub fn nullable(name: impl Into<Arc<str>>) -> Self {
        Self { named: name.into(), elem: None, non_null: false }
    }

    /// `[elem]!`
    pub fn list(elem: Type) -> Self {
        Self { named: "".into(), elem: Some(Box::new(elem)), non_null: true }
    }

    /// The same type, nullable on the outside.
    pub fn or_null(self) -> Self {
        Self { non_null: false, ..self }
    }

    /// Whether this is a list.
    pub fn is_list(&self) -> bool {
        self.elem.is_some()
    }
}

impl fmt::Display for Type {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.elem {
            Some(elem) => write!(out, "[{elem}]")?,
            None => out.write_str(&self.named)?,
        }
        out.write_str(if self.non_null { "!" } else { "" })
    }
}

#[cfg(test)]
mod tests {
    use super::Type;

    #[test]
    fn reads_as_graphql() {
        assert_eq!(Type::required("Container").to_string(), "Container!");
        assert_eq!(Type::list(Type::required("EnvVariable")).to_string(), "[EnvVariable!]!");
        assert_eq!(Type::list(Type::nullable("File")).or_null().to_string(), "[File]");
    }
}
