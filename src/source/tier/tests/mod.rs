//! The shared cache against a bucket of our own server, and against buckets that answer as a test says.

mod faults;
mod finding;
mod stand;
mod uploading;
