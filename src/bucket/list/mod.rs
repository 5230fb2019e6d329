//! What is below a directory of a bucket, page by page.

mod amazon;
mod google;
mod names;
mod page;
mod pager;

pub(super) use amazon::quoted;
pub(super) use google::{object, object_url};
pub(super) use names::{NameTree, OddNames};
pub(super) use pager::ListPager;
