//! Failures that a function reports: a message, and values for programs to read.

use std::sync::Arc;

/// A failure to report. Making one does not fail; a function raises it when it returns it.
///
/// # Source
/// `contract/values.md` 5.
#[derive(Clone, Debug)]
pub struct ReportedError {
    /// What a person reads.
    pub message: Arc<str>,
    /// What a program reads, in the order given. Persistent, so that a chain of additions stays linear.
    pub values: imbl::Vector<ErrorValue>,
}

/// One value of a [`ReportedError`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorValue {
    /// Its name; several values may share one.
    pub name: Arc<str>,
    /// JSON by custom; any text is taken.
    pub value: Arc<str>,
}

impl ReportedError {
    /// A failure without values.
    pub fn new(message: impl Into<Arc<str>>) -> Self {
        Self { message: message.into(), values: imbl::Vector::new() }
    }

    /// The same failure with one more value.
    #[must_use]
    pub fn with_value(&self, name: &str, value: &str) -> Self {
        let mut next = self.clone();
        next.values.push_back(ErrorValue { name: name.into(), value: value.into() });
        next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_kept_in_order_and_as_given() {
        let first = ReportedError::new("m").with_value("a", "not json");
        let second = first.with_value("a", "1");
        let values: Vec<(&str, &str)> = second.values.iter().map(|v| (&*v.name, &*v.value)).collect();
        assert_eq!(values, [("a", "not json"), ("a", "1")]);
        assert_eq!(first.values.len(), 1, "the receiver stays as it was");
    }
}
