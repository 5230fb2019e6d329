//! The newest version of a model.

use crate::handle::{Handle, Kind};
use crate::models::{Error, Latest, Models};

/// The model that a handle stands for: without a version it is the newest one, and without numbered versions itself.
///
/// # Errors
///
/// The origin cannot be asked.
pub async fn newest(handle: &Handle, models: &Models) -> Result<Handle, Error> {
    if handle.version().is_some() || handle.kind() == Kind::Archive {
        return Ok(handle.clone());
    }
    match models.newest(handle).await? {
        Latest::Version(version) => Ok(handle.with_version(version)),
        Latest::Elsewhere(other) => Ok(other),
        Latest::Unnumbered => Ok(handle.clone()),
    }
}
