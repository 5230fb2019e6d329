//! The order in which a bucket is asked: the way that worked last, and if that is refused the other one. Credentials that
//! cannot be used, or may do less than everybody, do not keep anyone from what is public.

use super::bucket_client::BucketClient;
use super::signer::Signer;
use crate::bucket::Error;

/// The ways that are left to ask one question.
pub(crate) struct Attempts<'a> {
    client: &'a BucketClient,
    left: std::array::IntoIter<bool, 2>,
    /// The present way is with credentials.
    signs: bool,
    refused: Option<Error>,
    /// Why credentials cannot be used.
    useless: Option<String>,
}

impl<'a> Attempts<'a> {
    pub fn new(client: &'a BucketClient, signs_first: bool) -> Attempts<'a> {
        Attempts {
            client,
            left: [signs_first, !signs_first].into_iter(),
            signs: signs_first,
            refused: None,
            useless: None,
        }
    }

    /// The next way to ask.
    pub async fn next(&mut self) -> Option<&'a Signer> {
        for signs in self.left.by_ref() {
            if signs && !self.client.may_sign() {
                continue;
            }
            self.signs = signs;
            match self.client.signer(signs).await {
                Ok(signer) => return Some(signer),
                Err(why) => self.useless = Some(why),
            }
        }
        None
    }

    /// What came of the present way, unless it was refused and another may do.
    pub fn judge<T>(&mut self, answer: Result<T, Error>) -> Option<Result<T, Error>> {
        match answer {
            Err(error) if error.is_denied() => {
                // A refusal of known credentials says more.
                if self.signs || self.refused.is_none() {
                    self.refused = Some(error);
                }
                None
            }
            answer => {
                if answer.is_ok() {
                    self.client.remember(self.signs);
                }
                Some(answer)
            }
        }
    }

    /// Why no way led anywhere.
    pub fn into_error(self) -> Error {
        match (self.refused, self.useless) {
            (Some(mut refused), Some(useless)) => {
                let advice = &refused.advice;
                refused.advice = format!("the credentials cannot be used: {useless}; {advice}");
                refused
            }
            (Some(refused), None) => refused,
            (None, useless) => Error::unreadable(
                &self.client.shown(""),
                useless.as_deref().unwrap_or("there is no way to ask it"),
            ),
        }
    }
}
