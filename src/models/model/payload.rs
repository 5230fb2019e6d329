//! What the state machine carries.

use std::sync::Arc;

use super::event::{Class, Payload};
use crate::cache::{FileTree, Filling, Holder, Sealed};
use crate::models::Error;
use crate::models::progress::Transfer;
use crate::models::range_fill::Streamer;
use crate::source::Plan;

/// The payload of the states of a [`super::Model`].
#[derive(Clone, Debug)]
pub(in crate::models) struct Real;

impl Payload for Real {
    type Names = Arc<FileTree>;
    type Copy = Copy;
    type Plan = Plan;
    type Fill = Fill;
    type Holder = Holder;
    type Error = Error;
}

/// A sealed copy; equal to itself alone.
#[derive(Clone, Debug)]
pub(in crate::models) struct Copy(pub(in crate::models) Arc<Sealed>);

impl PartialEq for Copy {
    fn eq(&self, other: &Copy) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

/// Files that are arriving.
#[derive(Clone, Debug)]
pub(in crate::models) struct Fill {
    /// The files.
    pub(in crate::models) filling: Arc<Filling>,
    /// Who brings them.
    pub(in crate::models) by: Filler,
}

/// Who fills a model.
#[derive(Clone, Debug)]
pub(in crate::models) enum Filler {
    /// The transfer of one archive.
    Archive(Arc<Transfer>),
    /// Ranges.
    Ranges(Arc<Streamer>),
}

impl Class {
    /// What an error means, wherever the bytes come from.
    pub(super) fn of(error: &Error) -> Class {
        match error {
            error if error.is_changed() => Class::Replaced,
            error if error.is_verdict() => Class::Verdict,
            error if error.is_no_space() => Class::NoSpace,
            _ => Class::Passing,
        }
    }
}
