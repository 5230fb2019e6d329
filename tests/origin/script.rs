//! What can go wrong with one model, in words.

use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

/// One of the three hosts on the way to a model's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Hop {
    Hub,
    Kaggle,
    Gcs,
}

/// How many times a fault strikes before all is well.
pub const ALWAYS: u32 = u32::MAX;

/// One fault of one model. Byte positions count from the first byte of the object, whatever range was asked for.
#[derive(Debug, Clone)]
pub enum Fault {
    /// A host answers with a status of its own.
    Status {
        hop: Hop,
        code: u16,
        retry_after: Option<u32>,
        times: u32,
    },
    /// A host takes the request and never answers.
    Silence { hop: Hop },
    /// The hub and Kaggle redirect to each other for ever.
    Loop,
    /// A page for people, with 200, where an archive was asked for.
    Html,
    /// The connection ends before this byte.
    Cut { at: u64, times: u32 },
    /// Nothing more comes from this byte on; the connection stays.
    Stall { at: u64 },
    /// Nothing more comes from this byte on until the gate is opened.
    Gated { at: u64, gate: Gate },
    /// A slow link.
    Rate { bytes_per_second: u64 },
    /// The announced length is wrong by so much.
    Length { add: i64 },
    /// The length that is told of the whole, also beside a range, is wrong by so much.
    Total { add: i64 },
    /// No length is told: the end of the connection ends the body.
    Unmeasured,
    /// These headers and no others, but those of ranges.
    Bare(Vec<(String, String)>),
    /// `x-goog-hash` is that of other bytes.
    Hash,
    /// One bit of the object is another, its hashes are not.
    Flip { bit: u64 },
    /// The object comes without any hash.
    NoHash,
    /// `Range` is ignored.
    NoRange,
    /// Each request sees another ETag, as if the object had been replaced.
    FreshEtags,
    /// The first signed URLs expire between the look at the headers and the download.
    Expired { times: u32 },
    /// Signed URLs live so long, counted from a moment that is `age` seconds ago when they are handed out.
    Lifetime { seconds: u64, age: u64 },
    /// Signed URLs are of the older form, `Expires=<unix time>`.
    SignedV2,
    /// What a listing says of the object's size is wrong by so much.
    Listed { add: i64 },
    /// `Content-Range` says another place than the one that the bytes are from.
    ContentRange { add: i64 },
    /// The object is another, of a new generation, after so many requests for its bytes.
    Replaced { after: u64 },
    /// The object is gone after so many requests for its bytes.
    Vanished { after: u64 },
    /// A composite object: it has no MD5.
    Composite,
    /// Kaggle wants its terms accepted before it gives files.
    Consent,
    /// How Kaggle words its errors about this model.
    Wording(Wording),
    /// A page of a listing holds at most so much.
    Pages { size: usize },
    /// Every page of a listing is followed by an empty one, with a token.
    EmptyPages,
    /// A listing's token leads to the same page again, for ever.
    EndlessPages,
    /// A bucket that lets nobody in without [`super::TOKEN`].
    Private,
}

/// The shapes of Kaggle's errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wording {
    /// `{"code":404,"message":"NotFound"}`
    Flat,
    /// `{"error":{"code":404,"message":"...","status":"NOT_FOUND"}}`
    Gateway,
    /// The first one, with the status 200.
    Inside200,
}

/// Holds a body back until the test lets it go.
#[derive(Debug, Clone, Default)]
pub struct Gate(Arc<(Mutex<bool>, Condvar)>);

impl Gate {
    pub fn new() -> Gate {
        Gate::default()
    }

    /// Lets everything pass from now on.
    pub fn open(&self) {
        *self.0.0.lock().unwrap() = true;
        self.0.1.notify_all();
    }

    /// Waits at most so long; true once the gate is open.
    pub fn wait(&self, limit: Duration) -> bool {
        let guard = self.0.0.lock().unwrap();
        *self
            .0
            .1
            .wait_timeout_while(guard, limit, |open| !*open)
            .unwrap()
            .0
    }
}

/// The faults of one model, each with the strikes it has left.
#[derive(Debug, Default)]
pub struct Script(Mutex<Vec<Fault>>);

impl Script {
    pub fn set(&self, faults: Vec<Fault>) {
        *self.0.lock().unwrap() = faults;
    }

    /// The first answer that `pick` finds among the faults.
    pub fn find<T>(&self, pick: impl FnMut(&Fault) -> Option<T>) -> Option<T> {
        self.0.lock().unwrap().iter().find_map(pick)
    }

    /// True if a fault like this is set.
    pub fn has(&self, like: impl Fn(&Fault) -> bool) -> bool {
        self.0.lock().unwrap().iter().any(like)
    }

    /// Takes one strike from the first fault that `pick` answers with its counter.
    pub fn strike<T>(
        &self,
        mut pick: impl FnMut(&mut Fault) -> Option<(&mut u32, T)>,
    ) -> Option<T> {
        for fault in self.0.lock().unwrap().iter_mut() {
            if let Some((left, found)) = pick(fault)
                && *left > 0
            {
                if *left != ALWAYS {
                    *left -= 1;
                }
                return Some(found);
            }
        }
        None
    }
}

/// What a [`super::Origin::rule`] does to a request, whatever it is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strike {
    None,
    Status(u16),
    /// It is done, and the answer is lost.
    LostAnswer,
    /// It never comes back.
    Hang,
}

/// Looks at the method and the target of a request.
pub type Rule = Box<dyn Fn(&str, &str) -> Strike + Send + Sync>;
