//! Tests of the crate from outside.

mod fake_session;
mod fetching;
mod hostile;
mod laziness;
mod listener;
mod protocol;
mod scale;
mod values;
