//! The shared cache: a prefix of a bucket in tensorflow_hub's own layout, between this host's cache and the hubs.
//!
//! ```text
//! <prefix>/<sha1>/<files>                     the model
//! <prefix>/<sha1>.descriptor.txt              whose it is; written last
//! <prefix>/<sha1>.lock                        who writes it
//! <prefix>/.tfhub-fs/v1/manifests/<sha1>      what belongs to it; ours
//! ```
//!
//! - `find` says where a model's files are; the reader of buckets streams them. A model is there if its descriptor says so
//!   and nothing of it is missing. Whatever is wrong with the bucket, or with what lies in it, is a warning and a miss: then the
//!   hub is asked, as if there were no bucket.
//! - `publish` decides when a model of this host is uploaded, `claim` which host does, `upload` sends it. The descriptor is
//!   the commit: a host that dies before it leaves nothing that passes for a model.
//! - `health` remembers which copies could not be used.
//!
//! Nothing blocks here; locks are held over table look-ups only. `cache`, the directory of this host, is unknown here: `models`
//! joins the two.

mod claim;
mod complete;
mod error;
mod find;
mod handle;
mod health;
mod layout;
mod manifest;
mod options;
mod publish;
#[cfg(test)]
mod tests;
mod upload;
mod verified;

pub use error::Error;
pub use handle::SharedCache;
pub use options::SharedCacheOptions;
pub use publish::UploadOutcome;
pub use upload::UploadFile;
