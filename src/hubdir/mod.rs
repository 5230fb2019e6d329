//! What tensorflow_hub writes into its cache directory: names, lock, descriptor, and when a lock is stale.
//!
//! ```text
//! <sha1>/                   a model; sha1 is that of its handle (`handle::Key`)
//! <sha1>.descriptor.txt     whose handle, when, by whom
//! <sha1>.lock               who fetches it now: "<hostname>.<pid>.<uid>"
//! <sha1>.<uid>.tmp/         that process's staging directory
//! ```
//!
//! Everything here is text and arithmetic: no function opens a file, so the same rules serve a local directory and a bucket.
//! Source of the facts: tensorflow_hub 0.16, `resolver.py` and `compressed_module_resolver.py`.

mod descriptor;
mod lock;
mod names;

pub use descriptor::{Descriptor, is_handle_of};
pub use lock::{LockText, QUIET, STALE, Stillness, is_uid, new_uid};
pub use names::{descriptor_name, lock_name, parse_staging_name, staging_name};
