//! `tfhub-fs cache`: what the cache holds, and changes to it. Needs no network.

mod clean;
mod directory;
mod export_import;
mod list;
mod pin;
mod remove;
mod run;
mod select;
mod verify;

pub(in crate::cli) use run::run;
