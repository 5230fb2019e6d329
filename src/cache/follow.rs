//! Reading what another process is filling, while it does.

use std::sync::Arc;

use super::base::Base;
use super::error::{Context, Error};
use super::fillfile::FillFile;
use super::filling::Filling;
use super::journal::{Event, Told};
use super::layout::{Key, Layout};
use super::lock::Holder;
use super::manifest::{nanos, time};
use super::root::Cache;
use super::sealed::Sealed;
use super::site::Site;
use crate::hubdir::is_uid;
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
        let filling = Filling::new(site, self.disk.clone());
        *filling.shared.heard.write() = Some(told.heard().clone());
        Some(Followed {
            filling: Arc::new(filling),
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
        let lengths = self.lengths();
        self.measured(lengths)?;
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
            self.told.is_heard();
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
        self.moved(site, same)?;
        self.told = told;
        *self.filling.shared.heard.write() = Some(self.told.heard().clone());
        self.identity = None;
        self.hear(first)?;
        self.told.is_heard();
        Ok(())
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

    /// How long the files are that were not complete. All but the last are now, as a rule.
    fn lengths(&self) -> Vec<(Arc<FillFile>, u64)> {
        let length = |file: &Arc<FillFile>| Some((file.clone(), file.on_disk().ok()?));
        self.arriving.iter().filter_map(length).collect()
    }

    /// Takes in lengths: those of files that were still there, by their names, when they were measured.
    fn measured(&mut self, lengths: Vec<(Arc<FillFile>, u64)>) -> Result<(), Error> {
        self.listen()?;
        if !self.told.heard().is_broken() {
            self.advance(lengths);
        }
        Ok(())
    }

    fn advance(&mut self, lengths: Vec<(Arc<FillFile>, u64)>) {
        for (file, length) in lengths {
            let known = file.bytes_present();
            if length > known && !file.is_parked() && file.bad().is_none() {
                file.advance(known..length);
            }
        }
        self.arriving
            .retain(|file| !file.is_complete() && file.bad().is_none());
    }

    /// Says that the model is complete now, by whomever.
    ///
    /// # Errors
    ///
    /// The disk failed.
    pub fn sealed(mut self, sealed: &Sealed) -> Result<(), Error> {
        let base = Base::look(sealed.dir()).context("open", sealed.dir())?;
        let same = match self.filling.site() {
            Some(site) => is_same_dir(&site.base, &base),
            None => false,
        };
        // To its end: of two files of one name the later one is known, and is the one that is there.
        if !(same && self.look().is_ok() && self.filling.contents().is_ok()) {
            let same = same && !self.spoiled;
            self.take(sealed, Arc::new(base), same)?;
        }
        *self.filling.shared.heard.write() = None;
        self.filling.set_sealed();
        Ok(())
    }

    /// Goes on in a complete model.
    fn take(&mut self, sealed: &Sealed, base: Arc<Base>, same: bool) -> Result<(), Error> {
        self.moved(Arc::new(Site::of(base)), same)?;
        *self.filling.shared.heard.write() = None;
        for (path, mtime) in sealed.index.dirs() {
            self.filling.dir(path, mtime)?;
        }
        for (path, stat) in sealed.files() {
            let (size, mtime) = (stat.size, nanos(stat.mtime));
            self.hear(Event::File { path, size, mtime })?;
        }
        let lengths = self.lengths();
        self.advance(lengths);
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
        *self.filling.shared.heard.write() = None;
        Ok(self.filling)
    }
}

fn is_same_dir(one: &Base, other: &Base) -> bool {
    use std::os::unix::fs::MetadataExt;
    let of = |base: &Base| base.dir().metadata().map(|meta| (meta.dev(), meta.ino()));
    matches!((of(one), of(other)), (Ok(one), Ok(other)) if one == other)
}

#[cfg(test)]
mod tests {
    use crate::cache::tests::{URL, cache, file, lead, long_ago, put};

    use super::*;

    #[test]
    fn the_length_of_a_later_file_is_not_that_of_the_earlier_one() {
        let (dir, cache) = cache();
        let lead = lead(&cache);
        let mut writer = lead.filling().file("twice", 5, long_ago()).unwrap();
        writer.write(b"fi").unwrap();
        let mut followed = Cache::open(dir.path()).unwrap().follow(URL).unwrap();
        followed.look().unwrap();
        let first = file(&followed.filling(), "twice");
        writer.write(b"rst").unwrap();
        writer.end().unwrap();
        put(&lead.filling(), "twice", b"later");
        let lengths = followed.lengths();
        assert_eq!(lengths[0].1, 5);
        followed.measured(lengths).unwrap();
        assert_eq!(first.bytes_present(), 2);
        assert!(followed.look().unwrap());
        assert!(file(&followed.filling(), "twice").is_complete());
    }
}
