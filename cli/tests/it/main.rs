//! The program from outside.
mod contract;
mod service;
