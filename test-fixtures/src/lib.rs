//! test-fixtures.
