//! Why the daemon could not do its work.

use std::io;

use super::{background, handle_list, mountpoint};
use crate::{cache, config, fetch, fuse};

/// Why the daemon could not do its work.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A setting that cannot be used; the text says which.
    #[error("{0}")]
    Setting(String),
    /// A setting that cannot be used.
    #[error(transparent)]
    Config(#[from] config::Error),
    /// The handle list.
    #[error(transparent)]
    HandleList(#[from] handle_list::Error),
    /// On the way into the background.
    #[error(transparent)]
    Background(#[from] background::Error),
    /// The mountpoint.
    #[error(transparent)]
    Mountpoint(#[from] mountpoint::Error),
    /// The cache.
    #[error(transparent)]
    Cache(#[from] cache::Error),
    /// The network client.
    #[error(transparent)]
    Network(#[from] fetch::Error),
    /// The FUSE session.
    #[error(transparent)]
    Fuse(#[from] fuse::Error),
    /// The runtime or the signal handlers.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl Error {
    /// Whether what was asked for is wrong, rather than the work failed.
    pub fn is_usage(&self) -> bool {
        match self {
            Error::Setting(_) | Error::Config(_) => true,
            Error::HandleList(error) => error.is_usage(),
            _ => false,
        }
    }
}
