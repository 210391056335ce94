//! A bridge without a daemon, for tests.
