//! The one filler of a model that comes as an archive.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, SystemTime};

use super::super::error::{Context, Error, Failure};
use super::super::layout::DIR_MODE;
use super::super::lock::Held;
use super::super::sealed::Sealed;
use super::super::sealed::manifest::Manifest;
use super::super::sealed::publish::{Entry, make_durable};
use super::super::space::room::Room;
use super::filling::Filling;
use super::site::Site;

/// How often those who wait for the lock see that sealing goes on.
const BEAT: Duration = Duration::from_millis(500);

/// The right, and the duty, to fill one model. Dropped without [`Lead::seal`], it fails the filling, removes the staging
/// directory and lets the locks go.
#[derive(Debug)]
pub struct Lead {
    // Dropped in this order: readers are told before their files vanish.
    filling: Abandon,
    held: Held,
    #[expect(dead_code, reason = "dropped when the staging directory is gone")]
    counted: Counted,
    url: String,
    host: String,
    origin: Option<String>,
    expected: Option<Box<Manifest>>,
}

#[derive(Debug)]
struct Abandon(Arc<Filling>);

impl Drop for Abandon {
    fn drop(&mut self) {
        self.0.fail(Arc::new(Error::Abandoned)); // changes nothing if it is sealed, or failed for a better reason
    }
}

/// Ends the counting of what is staged.
#[derive(Debug)]
struct Counted(Arc<Site>);

impl Drop for Counted {
    fn drop(&mut self) {
        if let Some(staging) = &self.0.staging {
            staging.end();
        }
    }
}

impl Lead {
    pub(in crate::cache) fn new(
        held: Held,
        url: &str,
        host: &str,
        room: Option<Arc<Room>>,
    ) -> Result<Lead, Error> {
        let Some(staging) = held.staging() else {
            return Err(Error::Abandoned);
        };
        DirBuilder::new()
            .mode(DIR_MODE)
            .create(staging)
            .context("create", staging)?;
        let site = Arc::new(Site::new(staging, room.clone())?);
        let filling = Abandon(Arc::new(Filling::new(site.clone(), room)));
        Ok(Lead {
            filling,
            counted: Counted(site),
            held,
            url: url.to_owned(),
            host: host.to_owned(),
            origin: None,
            expected: None,
        })
    }

    /// What is being filled.
    pub fn filling(&self) -> Arc<Filling> {
        self.filling.0.clone()
    }

    /// Records where the bytes come from, without secrets.
    pub fn comes_from(&mut self, origin: &str) {
        self.origin = Some(origin.to_owned());
    }

    /// Says what it must turn out to be: anything else is not sealed.
    pub fn must_be(&mut self, manifest: Manifest) {
        self.origin.clone_from(&manifest.origin);
        self.expected = Some(Box::new(manifest));
    }

    /// Makes the filling durable and gives it its name in the cache. To be called once its bytes are verified.
    ///
    /// Takes as long as the disk needs; readers of the filling go on meanwhile, and after it. If somebody else sealed the
    /// same model first (tensorflow_hub, which took the lock for idle), theirs stays and ours is dropped.
    ///
    /// # Errors
    ///
    /// `Failed` with the reason, which every reader of the filling is told too; nothing is left in the cache then.
    pub fn seal(mut self) -> Result<Sealed, Error> {
        match self.beating(Lead::publish) {
            Ok(sealed) => {
                self.filling.0.set_sealed();
                Ok(sealed)
            }
            Err(Error::Failed(why)) => Err(Error::Failed(why)),
            Err(error) => {
                let why: Failure = Arc::new(error);
                self.filling.0.fail(why.clone());
                Err(Error::Failed(why))
            }
        }
    }

    /// Shows those who wait for the lock that we live, for as long as `work` takes: nothing grows meanwhile.
    fn beating<T>(&mut self, work: impl FnOnce(&mut Lead) -> T) -> T {
        let pulse = self.held.pulse();
        let (done, over) = mpsc::channel::<()>();
        thread::scope(|scope| {
            let _done = done; // ends the thread, however the work ends
            let beat = move || {
                while let (Ok(pulse), Err(RecvTimeoutError::Timeout)) =
                    (&pulse, over.recv_timeout(BEAT))
                {
                    let _ = pulse.set_modified(SystemTime::now());
                }
            };
            if let Err(error) = thread::Builder::new().spawn_scoped(scope, beat) {
                tracing::debug!(%error, "other processes cannot see that sealing goes on");
            }
            work(self)
        })
    }

    fn publish(&mut self) -> Result<Sealed, Error> {
        let filling = &self.filling.0;
        let Some(site) = filling.site() else {
            return Err(Error::Abandoned);
        };
        let base = &site.base;
        let contents = filling.contents()?;
        make_durable(base, &contents)?;
        let entry = Entry {
            layout: self.held.layout(),
            key: self.held.key(),
            url: &self.url,
            host: &self.host,
            origin: self.origin.as_deref(),
            expected: self.expected.as_deref(),
        };
        let (sealed, is_ours) = entry.publish(base, contents)?;
        if is_ours {
            self.held.forget_staging();
        }
        Ok(sealed)
    }
}

#[cfg(test)]
mod tests {
    use crate::cache::tests::{busy, cache, lead};

    use super::*;

    #[test]
    fn a_long_sealing_is_seen_while_it_lasts() {
        let (_dir, cache) = cache();
        let mut lead = lead(&cache);
        let before = busy(&cache);
        lead.beating(|_| thread::sleep(2 * BEAT + BEAT / 2));
        let after = busy(&cache);
        assert_ne!(before, after, "it moves");
        thread::sleep(2 * BEAT);
        assert_eq!(busy(&cache), after);
    }
}
