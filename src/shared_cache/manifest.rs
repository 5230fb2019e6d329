//! What belongs to a model in the bucket, as an object beside it.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// Longest text that is written; a reader takes no more of any object.
const LONGEST: usize = 8 << 20;

/// One model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Manifest {
    pub handle: String,
    pub files: Vec<ListedFile>,
}

/// One file of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ListedFile {
    pub name: String,
    pub size: u64,
    pub crc32c: u32,
}

impl Manifest {
    /// `Err` says what is wrong with the text.
    pub fn parse(text: &[u8]) -> Result<Manifest, String> {
        serde_json::from_slice(text).map_err(|why| why.to_string())
    }

    /// `None` if it would be too long: then names alone tell whether the model is whole.
    pub fn text(&self) -> Option<Bytes> {
        let text = serde_json::to_vec(self).ok()?;
        (text.len() <= LONGEST).then(|| text.into())
    }
}
