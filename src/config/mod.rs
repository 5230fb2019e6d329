//! Checked settings: what was typed becomes a type that cannot be wrong, and remembers where it came from.
//!
//! Every parser here is a pure function of the text, and of the [`Env`] where the
//! environment has a say, so the command line, the environment and a configuration file share one
//! meaning and one message. Nothing here touches the network, and only the search for Kaggle's
//! credentials ([`KaggleCredentials`]) reads files.
//!
//! A setting is chosen in this order: the flag, our own variable `TFHUB_FS_<FLAG>`, TensorFlow
//! Hub's variable where it has one, the default. An empty variable counts as unset, as it does in
//! tensorflow_hub.

mod aws;
mod base;
mod cache_dir;
mod certificates;
mod duration;
mod endpoint;
mod error;
mod http_hosts;
mod kaggle;
mod load_format;
mod mirror;
mod origin;
mod settings;
mod size;
mod streaming;

pub use aws::{AwsKeys, AwsProfile};
pub use base::BaseUrl;
pub use cache_dir::{CacheDir, SharedCache, private_cache_dir};
pub use certificates::verify_certificates;
pub use duration::parse_duration;
pub use endpoint::gcs_endpoint;
pub use error::Error;
pub(crate) use error::shown;
pub use http_hosts::HttpHosts;
pub use kaggle::{KaggleCredentials, kagglehub_cache};
pub use load_format::LoadFormat;
pub use mirror::Mirror;
pub use origin::{Env, Origin};
pub use settings::{CacheSettings, Settings};
pub use size::ByteSize;
pub use streaming::{CacheSize, Prefetch};
