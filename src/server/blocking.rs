//! Work that waits for the disk, off the async threads.

use super::Error;

/// Does `work`, which waits for the disk; `name` is what it is about.
///
/// # Errors
/// Those of the work; [`Error::Lost`] if it panicked.
pub async fn blocking<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|e| {
        Err(Error::Lost {
            name: name.to_owned(),
            why: e.to_string(),
        })
    })
}
