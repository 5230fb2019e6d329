//! Archives made by hand, and what becomes of them.

mod accept;
mod bounds;
mod build;
mod damage;
mod random;
mod refuse;
mod sink;
mod slow;

use super::unpack::Summary;
use super::{Error, Limits, Refusal, unpack};
use sink::{Never, Node, Tree};

/// Unpacks `archive` with the default limits.
fn unpacked(archive: &[u8]) -> Result<(Tree, Summary), Error<Never>> {
    unpacked_within(archive, &Limits::default())
}

fn unpacked_within(archive: &[u8], limits: &Limits) -> Result<(Tree, Summary), Error<Never>> {
    let mut tree = Tree::default();
    let summary = unpack(archive, limits, &mut tree)?;
    tree.assert_settled();
    Ok((tree, summary))
}

/// The tree in an archive that must be good.
#[track_caller]
fn tree(archive: &[u8]) -> Vec<(String, Node)> {
    match unpacked(archive) {
        Ok((tree, _)) => tree.nodes.into_iter().collect(),
        Err(error) => panic!("refused: {error}"),
    }
}

/// Why an archive is refused that must be bad.
#[track_caller]
fn refusal(archive: &[u8]) -> Refusal {
    refusal_within(archive, &Limits::default())
}

#[track_caller]
fn refusal_within(archive: &[u8], limits: &Limits) -> Refusal {
    match unpacked_within(archive, limits) {
        Err(Error::Refused(refusal)) => refusal,
        Err(error) => panic!("not a refusal: {error}"),
        Ok((_, summary)) => panic!("accepted: {summary:?}"),
    }
}

/// Asserts that the refusal has this shape and that its message holds these words.
macro_rules! refused {
    ($archive:expr, $shape:pat, $words:expr) => {
        let refusal = $crate::archive::tests::refusal(&$archive);
        assert!(matches!(refusal, $shape), "{refusal:?}");
        assert!(refusal.to_string().contains($words), "{refusal}");
    };
}
use refused;
