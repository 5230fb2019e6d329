//! An answer that is here, or one that will come.

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::Error;

/// What a request gets: from memory or local disk at once, or later from a task that may wait.
pub enum Answer<T> {
    /// Known now.
    Now(Result<T, Error>),
    /// Something has to be waited for; poll it off the thread that serves the kernel.
    Later(BoxFuture<'static, Result<T, Error>>),
}

impl<T> Answer<T> {
    /// An answer that needs waiting.
    pub fn later(work: impl Future<Output = Result<T, Error>> + Send + 'static) -> Answer<T> {
        Answer::Later(work.boxed())
    }

    /// Waits for the answer, for callers that may (tests, tools).
    pub async fn get(self) -> Result<T, Error> {
        match self {
            Answer::Now(result) => result,
            Answer::Later(work) => work.await,
        }
    }
}
