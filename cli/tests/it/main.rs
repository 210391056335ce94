//! The program from outside.
mod commands;
mod contract;
mod offline;
mod sdk;
mod large;
mod service;
mod examples;
mod notation;
mod host;
mod chains;
mod images;
mod registry;
mod values;
