//! The helper as it is in use: process 1 of a small container, made of namespaces and a root file system of
//! busybox. Needs root; elsewhere the tests are skipped and say so, which is a failure where `CI` is set.

mod commands;
mod container;
mod endings;
mod files;
