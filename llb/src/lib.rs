//! llb.
