//! Reading what another process is filling, while it does.

use std::sync::Arc;

use super::base::Base;
use super::cache::Cache;
use super::error::{Context, Error};
use super::fillfile::FillFile;
use super::filling::Filling;
use super::foreign::is_uid;
use super::journal::{Event, Told};
use super::layout::{Key, Layout};
use super::lock::Holder;
use super::manifest::{nanos, time};
use super::sealed::Sealed;
use super::site::Site;
use crate::os;

/// A filling that another tfhub-fs process fills, as far as is known here.
///
/// It survives its filler: whoever fills the model after that one, this process or a third, goes on with the same filling
/// for its readers. Its methods take as long as the disk needs.
#[derive(Debug)]
pub struct Followed {
    filling: Arc<Filling>,
    layout: Arc<Layout>,
    key: Key,
    url: String,
    told: Told,
    /// What is fetched, if the filler knows.
    identity: Option<String>,
    /// Whether the same archive may bring other bytes under a name than were given out.
    spoiled: bool,
    /// What its filler had staged at the last look at it.
    grown: u64,
    /// Files that are not complete.
    arriving: Vec<Arc<FillFile>>,
}

impl Cache {
    /// Follows whoever fills this model now. `None`: nobody does, or on another host, or they say nothing about it, as
    /// tensorflow_hub.
    pub fn follow(&self, url: &str) -> Option<Followed> {
        let layout = self.locks.as_ref()?.layout.clone();
        let key = Key::of(url);
        let (told, site) = begun(&layout, &key)?;
        Some(Followed {
            filling: Arc::new(Filling::new(site, self.disk.clone())),
            layout,
            key,
            url: url.to_owned(),
            told,
            identity: None,
            spoiled: false,
            grown: 0,
            arriving: Vec::new(),
        })
    }
}

/// The journal of the filler of a model, from its second line on, and where its files lie.
fn begun(layout: &Layout, key: &Key) -> Option<(Told, Arc<Site>)> {
    let mut told = Told::open(&layout.journal(key)).ok()?;
    match told.next()? {
        Event::Fill { uid, boot } if is_uid(&uid) && is_ours(&boot) => {
            let base = Base::open(&layout.staging(key, &uid)).ok()?;
            Some((told, Arc::new(Site::of(Arc::new(base)))))
        }
        _ => None,
    }
}

fn is_ours(boot: &str) -> bool {
    os::host::boot_id().is_ok_and(|ours| ours == boot)
}

impl Followed {
    /// What is being filled.
    pub fn filling(&self) -> Arc<Filling> {
        self.filling.clone()
    }

    /// Takes in what has come since the last look. Whether anything has.
    ///
    /// # Errors
    ///
    /// The filler has failed; what it says makes no sense.
    pub fn look(&mut self) -> Result<bool, Error> {
        let before = self.filling.progress();
        let is_replaced = self.told.is_replaced();
        self.listen()?; // to its end, if another has begun
        if is_replaced {
            self.hop()?;
            self.listen()?;
        }
        self.measure();
        Ok(before != self.filling.progress())
    }

    /// Notes who fills it now. One that says nothing, as tensorflow_hub, moves if what it has staged grows.
    pub fn is_filled_by(&mut self, holder: &Holder) {
        *self.filling.shared.filler.lock() = Some(holder.who.clone());
        if std::mem::replace(&mut self.grown, holder.grown) != holder.grown {
            self.filling.shared.grow(0);
        }
    }

    fn listen(&mut self) -> Result<(), Error> {
        while let Some(event) = self.told.next() {
            self.hear(event)?;
        }
        Ok(())
    }

    /// Turns to the next filler.
    fn hop(&mut self) -> Result<(), Error> {
        let Some((mut told, site)) = begun(&self.layout, &self.key) else {
            return Ok(());
        };
        let Some(first) = told.next() else {
            return Ok(()); // it does not know yet
        };
        // One that does not say where the bytes come from (`cache import`) has others, as far as is known here.
        let same = match &first {
            Event::From { identity } => self.is_same(identity.as_deref()),
            _ => false,
        };
        self.told = told;
        self.moved(site, same)?;
        self.identity = None;
        self.hear(first)
    }

    /// Whether what is fetched under this name are the bytes that were given out.
    fn is_same(&self, identity: Option<&str>) -> bool {
        !self.spoiled && identity.is_some() && self.identity.as_deref() == identity
    }

    fn moved(&mut self, site: Arc<Site>, same: bool) -> Result<(), Error> {
        tracing::info!(model = %self.key, same, "another process goes on with a model whose filler has gone");
        self.arriving.clear();
        self.spoiled = false;
        self.filling.move_to(site, same)
    }

    fn hear(&mut self, event: Event) -> Result<(), Error> {
        match event {
            Event::Fill { .. } => {}
            Event::From { identity } => self.identity = identity,
            Event::Dir { path, mtime } => self.filling.dir(&path, time(mtime))?,
            Event::File { path, size, mtime } => {
                let Some(site) = self.filling.site() else {
                    return Err(Error::Abandoned);
                };
                self.filling.expect(&path, size)?;
                let (base, stat) = (&site.base, (size, time(mtime)));
                self.arriving
                    .push(self.filling.put(&path, stat, base, None)?);
            }
            Event::Gone { path } => {
                // Should it be filled anew, the earlier file of this name would pass for the later one.
                self.spoiled = true;
                self.filling.expect(&path, u64::MAX)?;
            }
            Event::Named => self.filling.names_known(),
            Event::Sealing => self.filling.shared.grow(0),
            Event::Failed { why } => return Err(self.failed(&why)),
        }
        Ok(())
    }

    fn failed(&self, why: &str) -> Error {
        let handle = format!("{}: ", self.url); // who is told of this error is told that, too
        Error::Theirs {
            why: why.strip_prefix(&handle).unwrap_or(why).to_owned(),
        }
    }

    /// Looks how far files are. All but the last are complete, as a rule.
    fn measure(&mut self) {
        self.arriving.retain(|file| {
            if let Ok(length) = file.on_disk() {
                let known = file.bytes_present();
                if length > known && !file.is_parked() {
                    file.advance(known..length);
                }
            }
            !file.is_complete()
        });
    }

    /// Says that the model is complete now, by whomever.
    ///
    /// # Errors
    ///
    /// The disk failed.
    pub fn sealed(mut self, sealed: &Sealed) -> Result<(), Error> {
        let base = Base::open(sealed.dir()).context("open", sealed.dir())?;
        let same = match self.filling.site() {
            Some(site) => !self.spoiled && is_same_dir(&site.base, &base),
            None => false,
        };
        if !(same && self.look().is_ok() && self.filling.contents().is_ok()) {
            self.take(sealed, Arc::new(base), same)?;
        }
        self.filling.set_sealed();
        Ok(())
    }

    /// Goes on in a complete model.
    fn take(&mut self, sealed: &Sealed, base: Arc<Base>, same: bool) -> Result<(), Error> {
        self.moved(Arc::new(Site::of(base)), same)?;
        for (path, mtime) in sealed.index.dirs() {
            self.filling.dir(path, mtime)?;
        }
        for (path, stat) in sealed.files() {
            let (size, mtime) = (stat.size, nanos(stat.mtime));
            self.hear(Event::File { path, size, mtime })?;
        }
        self.measure();
        self.filling.names_known();
        Ok(())
    }

    /// Gives the filling to who fills it from now on, in this process: at another site, from the start. It has the model's
    /// lock, so that whoever filled it before has said all that it had to say.
    pub(super) fn into_filling(
        mut self,
        site: Arc<Site>,
        identity: Option<&str>,
    ) -> Result<Arc<Filling>, Error> {
        self.listen()?;
        *self.filling.shared.filler.lock() = None;
        let same = self.is_same(identity);
        self.filling.move_to(site, same)?;
        Ok(self.filling)
    }
}

impl Filling {
    /// Which other process fills it, if one does, for people.
    pub fn filler(&self) -> Option<String> {
        self.shared.filler.lock().clone()
    }
}

fn is_same_dir(one: &Base, other: &Base) -> bool {
    use std::os::unix::fs::MetadataExt;
    let of = |base: &Base| base.dir().metadata().map(|meta| (meta.dev(), meta.ino()));
    matches!((of(one), of(other)), (Ok(one), Ok(other)) if one == other)
}
