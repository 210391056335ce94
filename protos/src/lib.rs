//! protos.
