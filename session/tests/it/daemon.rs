//! A stock buildkitd.
