//! The program from outside.
mod commands;
mod contract;
mod offline;
mod sdk;
mod service;
