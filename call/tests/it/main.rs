//! What the crate promises to those who hold IDs.

mod chains;
mod hostile;
mod properties;
mod recorded;
mod text;
mod vectors;
mod wire;
