//! How far a listing has come. Its length is what the bucket makes it, so it has an end here: so many objects, so many
//! pages without any, and never the same place twice.

use std::collections::HashSet;

use super::access::Access;
use super::names::Listed;
use crate::handle::BucketPath;
use crate::source::Error;

/// Names asked for at once; Google and Amazon give no more.
const PAGE: usize = 1000;

/// Names in one directory. All of them are kept while it is looked at.
const MAX_NAMES: u64 = 1_000_000;

/// Pages without a name in a row. Google gives some where much was deleted.
const MAX_EMPTY: usize = 1000;

/// A listing on its way, page by page.
#[derive(Debug)]
pub(super) struct Course {
    /// Only what lies directly below.
    delimited: bool,
    /// Names asked for at once.
    size: usize,
    most: u64,
    seen: u64,
    token: Option<String>,
    ended: bool,
    /// Where this course has been.
    been: HashSet<String>,
}

impl Course {
    /// Over everything below a directory, at most so many objects.
    pub(super) fn below(most: u64) -> Course {
        Course {
            delimited: false,
            size: PAGE,
            most,
            seen: 0,
            token: None,
            ended: false,
            been: HashSet::new(),
        }
    }

    /// Over what lies directly below one, from where [`Course::rest`] told that another one has come to.
    pub(super) fn of_directory(rest: Option<String>) -> Course {
        let mut course = Course {
            delimited: true,
            ..Course::below(MAX_NAMES)
        };
        if let Some((seen, token)) = rest.as_deref().and_then(|rest| rest.split_once(' ')) {
            course.seen = seen.parse().unwrap_or(MAX_NAMES);
            course.token = Some(token.to_owned());
        }
        course
    }

    /// For one name: is there any?
    pub(super) fn glance() -> Course {
        Course {
            size: 1,
            ..Course::of_directory(None)
        }
    }

    /// Whether it has yet to begin.
    pub(super) fn is_new(&self) -> bool {
        self.token.is_none() && !self.ended
    }

    /// Whether nothing is left.
    pub(super) fn is_ended(&self) -> bool {
        self.ended
    }

    /// What is to be known to go on; None if nothing is left.
    pub(super) fn rest(&self) -> Option<String> {
        let token = self.token.as_ref()?;
        Some(format!("{} {token}", self.seen))
    }

    /// The next page that has names, or the last one. There is one more if [`Course::rest`] tells of it.
    pub(super) async fn page(
        &mut self,
        access: &Access,
        dir: &BucketPath,
    ) -> Result<Listed, Error> {
        for _ in 0..MAX_EMPTY {
            let token = self.token.as_deref();
            let mut listed = access.list(dir, token, self.delimited, self.size).await?;
            self.seen = self.seen.saturating_add(listed.len() as u64);
            self.been.extend(self.token.take());
            self.token = listed.next.take();
            self.ended = self.token.is_none();
            if self.seen > self.most {
                let advice = match self.delimited {
                    true => "name what is in it, which works without listing it",
                    false => "if it is a model all the same, raise --max-archive-entries",
                };
                let why = format!("it has more than {} objects", self.most);
                return Err(endless(dir, why, advice));
            }
            match &self.token {
                Some(next) if self.been.contains(next) => {
                    let why = String::from("its listing goes on where it was before");
                    return Err(endless(dir, why, "the fault is on the bucket's side"));
                }
                Some(_) if listed.len() == 0 => continue,
                _ => return Ok(listed),
            }
        }
        let why = format!("its listing has {MAX_EMPTY} pages in a row with nothing on them");
        Err(endless(dir, why, "the fault is on the bucket's side"))
    }
}

fn endless(dir: &BucketPath, why: String, advice: &str) -> Error {
    Error::Failed {
        model: dir.to_string(),
        why,
        advice: advice.to_owned(),
    }
}
