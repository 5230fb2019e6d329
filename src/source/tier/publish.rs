//! Who uploads a model that this host has fetched, and when. Many may wait: what waits is small, and knows no more than which
//! model it is.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::claim::{self, Claim, Held, Watch};
use super::{Look, Tier};
use crate::handle::Handle;
use crate::source::bucket::Local;
use crate::source::{self, Error};

/// How long somebody else's upload, or a bucket that fails, is watched.
const WATCHED: Duration = Duration::from_secs(4 * 3600);

/// Models that may wait at a time.
const MAX_WAITING: usize = 4096;

/// One file of a model on this host.
#[derive(Debug, Clone)]
pub struct Upload {
    /// The path in the model.
    pub name: String,
    /// In bytes.
    pub size: u64,
    /// Checksum, if it is known.
    pub crc32c: Option<u32>,
    /// Reads it.
    pub from: Arc<dyn Local>,
}

/// What has come of an upload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The model was there already.
    There,
    /// So many bytes were sent, and now it is there.
    Sent(u64),
    /// Somebody else has not come to an end for hours, or the bucket has not answered.
    Theirs,
    /// It has left this host meanwhile, or is none of ours to give.
    Gone,
}

/// Why a model could not be left in the bucket.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Unsent {
    /// The bucket, or the way there.
    #[error(transparent)]
    Bucket(#[from] source::Error),
    /// The copy on this host.
    #[error(
        "{file} of the copy on this host cannot be given to others: {why}; nothing wrong was left in the bucket"
    )]
    Damaged {
        /// The path in the model.
        file: String,
        /// What is wrong with it.
        why: String,
    },
}

/// An upload that is to come, or under way, as long as this lives.
#[derive(Debug)]
pub struct UnderWay {
    tier: Tier,
    is_awaited: bool,
}

impl UnderWay {
    /// Whether [`Tier::settled`] waits for it.
    fn is_awaited(&mut self, is: bool) {
        let under_way = &self.tier.shared.under_way;
        match (self.is_awaited, is) {
            (false, true) => drop(under_way.fetch_add(1, Ordering::SeqCst)),
            (true, false) => {
                under_way.fetch_sub(1, Ordering::SeqCst);
                self.tier.shared.ended.notify_waiters();
            }
            _ => {}
        }
        self.is_awaited = is;
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.is_awaited(false);
        self.tier.shared.waiting.fetch_sub(1, Ordering::SeqCst);
    }
}

/// What there is to do about a model now.
enum Turn {
    There,
    Ours(Held),
    /// Nothing for so long; whoever wants to end need not wait for it, unless it is `soon`.
    Wait {
        time: Duration,
        soon: bool,
    },
}

impl Tier {
    /// Says that an upload is to come, which [`Tier::settled`] waits for. `None`: too many wait already.
    pub fn begin(&self) -> Option<UnderWay> {
        let waiting = &self.shared.waiting;
        let more = |count: usize| (count < MAX_WAITING).then_some(count + 1);
        let begun = waiting.fetch_update(Ordering::SeqCst, Ordering::SeqCst, more);
        begun.ok()?;
        let mut under_way = UnderWay {
            tier: self.clone(),
            is_awaited: false,
        };
        under_way.is_awaited(true);
        Some(under_way)
    }

    /// Sees to it that the model is in the bucket: sends it, unless it is there or somebody else sends it. Its `files` are not
    /// asked for before they are wanted; `None` says that it has gone.
    pub async fn publish<F>(
        &self,
        handle: &Handle,
        files: impl FnOnce() -> F,
        mut under_way: UnderWay,
    ) -> Result<Outcome, Unsent>
    where
        F: Future<Output = Option<Vec<Upload>>>,
    {
        let (mut watch, begun) = (Watch::default(), Instant::now());
        loop {
            let turn = self.shared.turns.acquire().await;
            // In boxes, because what waits here is to be small.
            match Box::pin(self.turn(handle, &mut watch)).await? {
                Turn::There => return Ok(Outcome::There),
                Turn::Ours(held) => {
                    under_way.is_awaited(true);
                    return Box::pin(self.send(handle, files(), held)).await;
                }
                Turn::Wait { time, soon } => {
                    under_way.is_awaited(soon);
                    drop(turn);
                    if begun.elapsed() > WATCHED {
                        return Ok(Outcome::Theirs);
                    }
                    tokio::time::sleep(time).await;
                }
            }
        }
    }

    async fn turn(&self, handle: &Handle, watch: &mut Watch) -> Result<Turn, Error> {
        let key = handle.key();
        if let Some(time) = self.is_alone() {
            return Ok(Turn::Wait { time, soon: false });
        }
        match self.look_patiently(handle).await {
            Ok(Look::Whole(copy)) if !self.shared.fates.is_wrong(&key, &copy) => {
                return Ok(Turn::There);
            }
            Ok(Look::Absent) => self.shared.fates.is_gone(&key),
            Ok(_) => {}
            Err(error) => {
                let time = self.trouble(&error);
                return match error.is_denied() || error.is_not_found() {
                    true => Err(error),
                    false => Ok(Turn::Wait { time, soon: false }),
                };
            }
        }
        let claimed = claim::claim(&self.shared, &key, watch).await;
        Ok(match claimed.inspect_err(|error| self.is_late(error))? {
            Claim::Ours(held) => Turn::Ours(held),
            Claim::Theirs => Turn::Wait {
                time: self.shared.options.look,
                soon: false,
            },
            Claim::Dying(time) => Turn::Wait { time, soon: true },
        })
    }
}
