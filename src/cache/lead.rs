//! The one filler of a model that comes as an archive.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use super::error::{Context, Error, Failure};
use super::filling::Filling;
use super::follow::Followed;
use super::journal::{Event, Journal};
use super::layout::DIR_MODE;
use super::lock::Held;
use super::manifest::Manifest;
use super::publish::{Entry, make_durable};
use super::room::Room;
use super::sealed::Sealed;
use super::site::Site;

/// How often those who follow hear that sealing goes on.
const BEAT: Duration = Duration::from_millis(500);

/// The right, and the duty, to fill one model. Dropped without [`Lead::seal`], it fails the filling, removes the staging
/// directory and lets the locks go.
#[derive(Debug)]
pub struct Lead {
    // Dropped in this order: readers are told before their files vanish, and nobody else has the lock before we are silent.
    filling: Abandon,
    journal: Option<Silent>,
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
        self.0.give_up(Arc::new(Error::Abandoned)); // changes nothing if it is sealed, or failed for a better reason
    }
}

/// The journal, whose file goes with the lead.
#[derive(Debug)]
struct Silent(Arc<Journal>);

impl Drop for Silent {
    fn drop(&mut self) {
        self.0.end();
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
    pub(super) fn new(
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
        let journal = journal(&held);
        let told = journal.as_ref().map(|silent| silent.0.clone());
        let site = Arc::new(Site::new(staging, room.clone(), told)?);
        let filling = Abandon(Arc::new(Filling::new(site.clone(), room)));
        Ok(Lead {
            filling,
            journal,
            counted: Counted(site),
            held,
            url: url.to_owned(),
            host: host.to_owned(),
            origin: None,
            expected: None,
        })
    }

    /// Fills for the readers of what another process was filling. `identity` tells the bytes that are fetched from others;
    /// readers who have seen bytes of others get an error.
    ///
    /// # Errors
    ///
    /// The filling has failed, here or there.
    pub fn take_over(&mut self, followed: Followed, identity: Option<&str>) -> Result<(), Error> {
        if let Some(site) = self.filling.0.site() {
            let filling = followed.into_filling(site, identity)?;
            self.filling = Abandon(filling);
        }
        Ok(())
    }

    /// What is being filled.
    pub fn filling(&self) -> Arc<Filling> {
        self.filling.0.clone()
    }

    /// Says where the bytes come from, without secrets, and what tells them from others.
    pub fn comes_from(&mut self, origin: &str, identity: Option<&str>) {
        self.origin = Some(origin.to_owned());
        if let Some(silent) = &self.journal {
            let identity = identity.map(str::to_owned);
            silent.0.tell(&Event::From { identity });
        }
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
        match self.telling(|lead| lead.publish()) {
            Ok(sealed) => {
                self.filling.0.set_sealed();
                Ok(sealed)
            }
            Err(Error::Failed(why)) => Err(Error::Failed(why)),
            Err(error) => {
                let is_own = error.is_own();
                let why: Failure = Arc::new(error);
                match is_own {
                    true => self.filling.0.give_up(why.clone()),
                    false => self.filling.0.fail(why.clone()),
                }
                Err(Error::Failed(why))
            }
        }
    }

    /// Tells those who follow that we live, for as long as `work` takes: nothing grows meanwhile.
    fn telling<T>(&mut self, work: impl FnOnce(&mut Lead) -> T) -> T {
        let journal = self.journal.as_ref().map(|silent| silent.0.clone());
        let (done, over) = mpsc::channel::<()>();
        thread::scope(|scope| {
            let _done = done; // ends the thread, however the work ends
            let beat = move || {
                while let (Some(journal), Err(RecvTimeoutError::Timeout)) =
                    (&journal, over.recv_timeout(BEAT))
                {
                    journal.tell(&Event::Sealing);
                }
            };
            if let Err(error) = thread::Builder::new().spawn_scoped(scope, beat) {
                tracing::debug!(%error, "other processes cannot be told how sealing goes on");
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
            self.held.staging_is_gone();
        }
        Ok(sealed)
    }
}

/// What others are told, unless the disk is too full even for that: filling it will say so.
fn journal(held: &Held) -> Option<Silent> {
    let path = held.layout().journal(held.key());
    match Journal::create(&path, held.uid()) {
        Ok(journal) => Some(Silent(Arc::new(journal))),
        Err(error) => {
            tracing::debug!(%error, "other processes cannot be told of this filling");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::cache::tests::{URL, cache, lead};

    use super::*;

    #[test]
    fn a_long_sealing_is_told_while_it_lasts() {
        let (_dir, cache) = cache();
        let mut lead = lead(&cache);
        let mut followed = cache.follow(URL).unwrap();
        followed.look().unwrap();
        lead.telling(|_| thread::sleep(2 * BEAT + BEAT / 2));
        assert!(followed.look().unwrap(), "it moves");
        let path = lead.held.layout().journal(lead.held.key());
        let told = std::fs::read_to_string(&path).unwrap();
        assert_eq!(told.matches("\"sealing\"").count(), 2);
        thread::sleep(2 * BEAT);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), told);
    }
}
