//! What the steps do to the cache, and to the table.

use std::collections::BTreeSet;
use std::fs::{self, File};

use super::super::*;
use super::world::{CAP, MODELS, Row, State, World, content, key, url};
use super::{Harm, Step};

impl World {
    fn lead(&mut self, model: usize, by: usize) -> Option<Lead> {
        match self.caches[by].begin(&url(model)).unwrap() {
            Begin::Sealed(_) => {
                assert!(self.is_here(model), "{model} is not there");
                None
            }
            Begin::Lead(lead) => {
                assert!(!self.is_here(model), "{model} is there");
                Some(lead)
            }
            Begin::Busy(holder) => panic!("nobody else fills it: {holder:?}"),
        }
    }

    fn fill(&mut self, model: usize, by: usize) {
        let Some(lead) = self.lead(model, by) else {
            return;
        };
        let filling = lead.filling();
        let mut staged = 0;
        for (name, bytes) in content(model) {
            let file = filling.file(name, bytes.len() as u64, long_ago());
            staged += bytes.len() as u64;
            assert_eq!(file.is_ok(), self.lets_in(staged), "{model}: {file:?}");
            match file {
                Ok(mut writer) => {
                    writer.write(&bytes).unwrap();
                    writer.end().unwrap();
                }
                Err(error) => {
                    assert!(matches!(error, Error::Full { .. }), "{error}");
                    drop((filling, lead));
                    // For a second nobody is asked again whether they still use a model.
                    self.restart(by);
                    return;
                }
            }
        }
        filling.names_known();
        drop(filling);
        lead.seal().unwrap();
        self.rows[model].state = State::Here { foreign: false };
        self.stamp(model);
    }

    /// Begins to fill it. `None` if it is there, or if even that finds no room.
    fn half(&mut self, model: usize, by: usize) -> Option<Lead> {
        let lead = self.lead(model, by)?;
        let half = lead.filling().file("saved_model.pb", 4, long_ago());
        assert_eq!(half.is_ok(), self.lets_in(4), "{half:?}");
        match half {
            Ok(mut half) => {
                half.write(b"half").unwrap();
                Some(lead)
            }
            Err(_) => {
                drop(lead);
                self.restart(by);
                None
            }
        }
    }

    fn abandon(&mut self, model: usize, by: usize) {
        drop(self.half(model, by));
    }

    /// What a killed filler leaves: its locks, whose flock is gone, and its staging directory.
    fn crash(&mut self, model: usize, by: usize) {
        let Some(lead) = self.half(model, by) else {
            return;
        };
        let (layout, key) = (self.layout(), key(model));
        let text = fs::read_to_string(layout.lock(&key)).unwrap();
        drop(lead);
        let uid = text.rsplit_once('.').unwrap().1;
        let staging = layout.staging(&key, uid);
        fs::create_dir(&staging).unwrap();
        fs::write(staging.join("saved_model.pb"), "half").unwrap();
        for path in [layout.lock(&key), layout.kernel_lock(&key)] {
            fs::write(path, &text).unwrap();
        }
        self.restart(by);
    }

    fn foreign(&mut self, model: usize) {
        if self.is_here(model) {
            return;
        }
        for (name, bytes) in content(model) {
            let path = self.file(model, name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
        // As tensorflow_hub writes it, which is another one each time.
        self.clock += 1;
        let text = format!("Module: {}\nDownload Time: {}", url(model), self.clock);
        fs::write(self.layout().descriptor(&key(model)), text).unwrap();
        self.rows[model].state = State::Here { foreign: true };
        self.caches[0].record_use(&url(model));
        self.stamp(model);
    }

    fn harm(&mut self, model: usize, harm: Harm) {
        // What is added to others' models is theirs, and recorded.
        let theirs = self.rows[model].state == State::Here { foreign: true };
        if !self.is_here(model) || (theirs && matches!(harm, Harm::Add)) {
            return;
        }
        let data = self.file(model, "assets/data");
        match harm {
            Harm::Delete => fs::remove_file(&data).unwrap(),
            Harm::Cut => fs::File::options()
                .write(true)
                .open(&data)
                .unwrap()
                .set_len(5)
                .unwrap(),
            Harm::Add => fs::write(self.file(model, "stray"), "x").unwrap(),
            Harm::Flip => {
                let before = fs::metadata(&data).unwrap().modified().unwrap();
                let mut bytes = fs::read(&data).unwrap();
                bytes[7] ^= 1;
                fs::write(&data, bytes).unwrap();
                File::open(&data).unwrap().set_modified(before).unwrap();
                self.rows[model].flipped ^= true;
            }
        }
        match harm {
            Harm::Delete | Harm::Cut => {
                let by = &self.caches[0];
                assert!(
                    by.sealed(&url(model)).unwrap().is_none(),
                    "{harm:?} is seen"
                );
                assert!(by.mend(&url(model)).unwrap().is_none());
                // The next filler takes it away.
                self.abandon_damaged(model);
            }
            Harm::Add => {
                assert!(self.caches[0].sealed(&url(model)).unwrap().is_none());
                let mended = self.caches[0].mend(&url(model)).unwrap();
                assert!(mended.is_some(), "what was added is taken away");
            }
            Harm::Flip => {}
        }
    }

    fn abandon_damaged(&mut self, model: usize) {
        self.rows[model].state = State::Left;
        self.rows[model].flipped = false;
        self.held.remove(&model);
        self.abandon(model, 0);
        self.caches.iter().for_each(Cache::look_again);
    }

    fn verify(&mut self, model: usize, by: usize) {
        let verified = Integrity::of(&self.caches[by]).verify(&key(model)).unwrap();
        match (self.is_here(model), self.rows[model].flipped) {
            (false, _) => assert_eq!(verified, Verified::Absent),
            (true, true) if self.rows[model].state == State::Here { foreign: true } => {
                // Nobody knew its checksums: these bytes are what tensorflow_hub left, or not.
                self.rows[model].flipped &= verified != Verified::Recorded;
                if matches!(verified, Verified::SetAside(_)) {
                    self.rows[model].state = State::Left;
                    self.rows[model].flipped = false;
                } else {
                    // From now on they pass for right; the table has no word for that.
                    let _ = Upkeep::of(&self.caches[by]).remove(&key(model), true);
                    self.rows[model] = Row {
                        state: State::Absent,
                        used: 0,
                        pinned: false,
                        flipped: false,
                    };
                    self.held.remove(&model);
                }
            }
            (true, true) => {
                assert!(matches!(verified, Verified::SetAside(_)), "{verified:?}");
                self.rows[model].state = State::Left;
                self.rows[model].flipped = false;
            }
            (true, false) => assert!(
                matches!(verified, Verified::Right | Verified::Recorded),
                "{verified:?}"
            ),
        }
        self.caches.iter().for_each(Cache::look_again);
    }

    fn remove(&mut self, model: usize, forget: bool, by: usize) {
        let removed = Upkeep::of(&self.caches[by])
            .remove(&key(model), forget)
            .unwrap();
        let row = &mut self.rows[model];
        let here = matches!(row.state, State::Here { .. });
        let stays = (row.pinned && !forget) || (here && self.held.contains_key(&model));
        assert_eq!(removed.is_err(), stays, "{removed:?}");
        if stays {
            return;
        }
        row.flipped = false;
        if here {
            row.state = State::Left;
        }
        if forget {
            (row.state, row.pinned) = (State::Absent, false);
        }
        self.caches.iter().for_each(Cache::look_again);
    }

    fn restart(&mut self, by: usize) {
        self.caches[by] = self.open();
    }

    pub(super) fn take(&mut self, step: &Step) {
        match *step {
            Step::Fill(model, by) => self.fill(model, by),
            Step::Abandon(model, by) => self.abandon(model, by),
            Step::Crash(model, by) => self.crash(model, by),
            Step::Use(model, by) => {
                self.caches[by].record_use(&url(model));
                if self.is_here(model) {
                    self.stamp(model);
                }
            }
            Step::Pin(model, pinned, by) => {
                Pins::of(&self.caches[by]).pin(&url(model), pinned).unwrap();
                self.rows[model].pinned = pinned;
                self.caches.iter().for_each(Cache::look_again);
            }
            Step::Hold(model, true) if self.is_here(model) => {
                let file = File::open(self.file(model, "assets/data")).unwrap();
                self.held.insert(model, file);
            }
            Step::Hold(model, _) => drop(self.held.remove(&model)),
            Step::Remove(model, forget, by) => self.remove(model, forget, by),
            Step::Foreign(model) => self.foreign(model),
            Step::Damage(model, harm) => self.harm(model, harm),
            Step::Verify(model, by) => self.verify(model, by),
            Step::Tidy(by) => {
                Upkeep::of(&self.caches[by]).tidy();
                self.make_room(CAP);
            }
            Step::Restart(by) => self.restart(by),
        }
        // What has left is nobody's to hold.
        let here: BTreeSet<usize> = (0..MODELS).filter(|model| self.is_here(*model)).collect();
        self.held.retain(|model, _| here.contains(model));
    }
}
