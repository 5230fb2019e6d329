//! The program as a whole: mounted through the kernel, fed by a scripted origin, looked at as a user would.
//!
//! Needs root and /dev/fuse. One subject is one file; `cargo test --test mounted filling::` runs one of them.

#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "../common/mod.rs"]
mod common;
#[path = "../origin/mod.rs"]
mod origin;
#[path = "../origin/tests.rs"]
mod origin_tests;

mod archives;
mod attributes;
mod bounded;
mod broken;
mod buckets;
mod cache_dir_choice;
mod cache_states;
mod cached;
mod commands;
mod damaged;
mod disk;
mod evicted;
mod export_import;
mod faults;
mod filling;
mod fixtures;
mod hostile;
mod hung;
mod kaggle;
mod life;
mod modules;
mod names;
mod prefetch;
mod protocol;
mod serve;
mod shared_cache;
mod sharing;
mod stream;
mod tls;
mod usage;
mod waiting;
