//! The shared cache against a bucket of our own server, and against buckets that answer as a test says.

mod damaged;
mod faults;
mod finding;
mod holders;
mod mending;
mod stand;
mod uploading;
mod waiting;
