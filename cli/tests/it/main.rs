//! The program from outside.
mod chains;
mod commands;
mod contract;
mod examples;
mod failing;
mod host;
mod hostile;
mod images;
mod large;
mod notation;
mod offline;
mod registry;
mod sdk;
mod secrets;
mod service;
mod values;
