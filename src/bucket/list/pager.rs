//! Goes through a listing. Its length is what the bucket makes it, so it has an end here: so many objects, so many
//! pages without any, and never the same place twice.

use std::collections::HashSet;

use super::page::{Listed, prefix_of};
use super::{amazon, google};
use crate::bucket::client::BucketClient;
use crate::bucket::{Error, ErrorKind};
use crate::fetch::Ask;
use crate::handle::BucketPath;

/// Names asked for at once; Google and Amazon give no more.
const PAGE: usize = 1000;

/// Names in one directory. All of them are kept while it is looked at.
const MAX_NAMES: u64 = 1_000_000;

/// Pages without a name in a row. Google gives some where much was deleted.
const MAX_EMPTY: usize = 1000;

/// A page of a thousand long names, and room, in bytes.
const MAX_LISTING: usize = 8 << 20;

/// A listing on its way, page by page.
#[derive(Debug)]
pub(crate) struct ListPager<'a> {
    dir: &'a BucketPath,
    /// Only what lies directly below.
    delimited: bool,
    /// Names asked for at once.
    size: usize,
    most: u64,
    seen: u64,
    token: Option<String>,
    ended: bool,
    /// Tokens that were used.
    been: HashSet<String>,
}

impl<'a> ListPager<'a> {
    /// Over everything below a directory, at most so many objects.
    pub fn below(dir: &'a BucketPath, most: u64) -> ListPager<'a> {
        ListPager {
            dir,
            delimited: false,
            size: PAGE,
            most,
            seen: 0,
            token: None,
            ended: false,
            been: HashSet::new(),
        }
    }

    /// Over what lies directly below one, from the place that [`ListPager::rest`] of another pager gave.
    pub fn of_directory(dir: &'a BucketPath, rest: Option<String>) -> ListPager<'a> {
        let mut pager = ListPager {
            delimited: true,
            ..ListPager::below(dir, MAX_NAMES)
        };
        if let Some((seen, token)) = rest.as_deref().and_then(|rest| rest.split_once(' ')) {
            pager.seen = seen.parse().unwrap_or(MAX_NAMES);
            pager.token = Some(token.to_owned());
        }
        pager
    }

    /// For one name: is there any?
    pub fn first_name(dir: &'a BucketPath) -> ListPager<'a> {
        ListPager {
            size: 1,
            ..ListPager::of_directory(dir, None)
        }
    }

    /// Whether it has yet to begin.
    pub fn is_new(&self) -> bool {
        self.token.is_none() && !self.ended
    }

    /// Whether nothing is left.
    pub fn is_ended(&self) -> bool {
        self.ended
    }

    /// What is to be known to go on; None if nothing is left.
    pub fn rest(&self) -> Option<String> {
        let token = self.token.as_ref()?;
        Some(format!("{} {token}", self.seen))
    }

    /// The next page that has names, or the last one. There is one more if [`ListPager::rest`] tells of it.
    ///
    /// # Errors
    ///
    /// A listing that is too long or leads nowhere; everything that a request may fail with.
    pub async fn next_page(&mut self, client: &BucketClient) -> Result<Listed, Error> {
        let dir = self.dir;
        for _ in 0..MAX_EMPTY {
            let mut listed = self.request(client).await?;
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

    async fn request(&self, client: &BucketClient) -> Result<Listed, Error> {
        let (token, prefix) = (self.token.as_deref(), prefix_of(self.dir));
        let (delimited, size) = (self.delimited, self.size);
        let url = match client.is_amazon() {
            true => amazon::list_url(&client.amazon(), &prefix, token, delimited, size),
            false => {
                let (base, bucket) = (client.google(), client.name());
                google::list_url(base, bucket, &prefix, token, delimited, size)
            }
        };
        let object = self.dir.to_string();
        let ask = Ask {
            max: MAX_LISTING,
            accept: &[200],
            ..Ask::default()
        };
        let body = client.ask(&object, &url, ask).await?.body;
        let read = match client.is_amazon() {
            true => amazon::page(&body),
            false => google::page(&body),
        };
        read.map_err(|why| Error::unreadable(&object, &why))
    }
}

fn endless(dir: &BucketPath, why: String, advice: &str) -> Error {
    Error::new(ErrorKind::Failed, &dir.to_string(), why, advice)
}
