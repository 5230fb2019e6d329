//! What happens to a model, and what is to be done about it.

use std::fmt::Debug;

/// What a state, an event and an effect carry and `transition` only passes on.
pub(in crate::models) trait Payload: Debug {
    /// The names in a model.
    type Names: Clone + Debug;
    /// A sealed copy.
    type Copy: Clone + Debug + PartialEq;
    /// How the model is fetched.
    type Plan: Clone + Debug;
    /// Files that are arriving.
    type Fill: Clone + Debug;
    /// Another process that fills the model.
    type Holder: Clone + Debug;
    /// Why something did not come about.
    type Error: Clone + Debug;
}

/// Names a piece of work: a look at the disk, a question to the origin, a fill. Every event of that work carries it, and one
/// whose work is not the state's any more is stale.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::models) struct Job(pub(super) u64);

/// How much of a model somebody waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::models) enum Want {
    /// What the disk has of it.
    Look,
    /// Whether it exists.
    Verdict,
    /// Files that can be read, arriving or complete.
    Content,
    /// All of it, complete and verified.
    Sealed,
}

/// Who fills a model, and what can become of that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::models) enum FillKind {
    /// An archive: it goes on when nobody uses the model.
    Archive,
    /// Ranges: they end with the model's last user.
    Ranges {
        /// Whether there is a place where all of it can stay.
        can_seal: bool,
    },
}

/// What an error means for the next try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::models) enum Class {
    /// Nothing: the next open tries again.
    Passing,
    /// The origin says that there is no such model, or refuses.
    Verdict,
    /// The object is not any more what was listed.
    Replaced,
    /// The archive is too large for the cache.
    NoSpace,
    /// It was the shared cache's copy that failed; the hub may have a good one.
    SharedCopy,
}

/// What a look at the disk has found.
#[derive(Clone, Debug)]
pub(in crate::models) enum Found<P: Payload> {
    /// A complete copy.
    Copy(P::Copy),
    /// None; the names if it was there before.
    Away(Option<P::Names>),
}

/// What happens.
#[derive(Clone, Debug)]
pub(in crate::models) enum Event<P: Payload> {
    /// Somebody waits.
    Wanted(Want),
    /// A look at the disk has ended.
    Looked { job: Job, found: Found<P> },
    /// The origin has said how the model is fetched.
    Planned {
        job: Job,
        plan: P::Plan,
        source: String,
    },
    /// The origin has no single files of a model that comes as an archive.
    NoFiles { job: Job },
    /// Files are arriving.
    Started {
        job: Job,
        fill: P::Fill,
        kind: FillKind,
    },
    /// Another process fills the model.
    Busy { job: Job, holder: P::Holder },
    /// Every byte has come, and there is no place to seal the model.
    Completed { job: Job },
    /// There is a complete, verified copy.
    Sealed { job: Job, copy: P::Copy },
    /// There is no space for all of the model; what is read still comes.
    Short { job: Job, error: P::Error },
    /// The work has come to a bad end, also after it was complete.
    Failed {
        job: Job,
        error: P::Error,
        class: Class,
    },
    /// A file of `copy` is missing or changed.
    Damaged {
        copy: P::Copy,
        names: P::Names,
        what: String,
    },
    /// Somebody seems to have been at `copy`.
    Suspected { copy: P::Copy },
    /// The complete copy is used.
    Used,
    /// A file of the complete copy was opened through the mount.
    Opened,
    /// Nobody uses the model any more.
    Unused,
}

/// What is to be done, in this order and without a lock.
#[derive(Clone, Debug)]
pub(super) enum Effect<P: Payload> {
    /// Look at the disk, and mend the copy there if that takes nothing but the disk.
    Look { job: Job, mend: bool },
    /// Ask the origin.
    Ask { job: Job },
    /// Fetch.
    Start {
        job: Job,
        plan: P::Plan,
        /// An earlier try found the archive too large.
        too_large: bool,
        /// Single files may be asked for in place of the archive.
        ask_for_files: bool,
    },
    /// Fetch everything, and say if there is no space for it.
    FetchAll { job: Job, fill: P::Fill },
    /// Fail those who read what was arriving.
    FailReaders { fill: P::Fill, error: P::Error },
    /// Give everybody who waits this error.
    Tell(P::Error),
    /// End the transfers.
    Stop { fill: P::Fill },
    /// Forget what the bucket's listing said of the object.
    Forget,
    /// Leave the model for other hosts.
    Publish,
    /// Record on the disk that the model is used, and look whether the copy is as it was.
    NoteUse { copy: P::Copy },
    /// Log what was found wrong with a copy.
    Warn { copy: P::Copy, what: String },
}
