//! Copies of this host that are not what was fetched.

use super::stand::{SHA1, Stand, handle, model, publish, publish_as, uploads};
use crate::shared_cache::{Error, UploadFile, UploadOutcome};

const DATA: &str = "variables/variables.data-00000-of-00001";

/// As a flipped bit on the disk is: the checksums are those of what was fetched.
fn flipped(name: &str) -> Vec<UploadFile> {
    let right = model();
    let mut wrong = right.clone();
    let file = wrong.iter_mut().find(|file| file.0 == name).unwrap();
    let middle = file.1.len() / 2;
    file.1[middle] ^= 1;
    let mut uploads = uploads(&wrong);
    for (upload, (_, content)) in uploads.iter_mut().zip(right) {
        upload.crc32c = Some(crc32c::crc32c(&content));
    }
    uploads
}

#[tokio::test]
async fn a_flipped_bit_is_named_and_never_gets_a_name_in_the_bucket() {
    for scheme in ["gs", "s3"] {
        for name in [DATA, "assets/vocab.txt", "saved_model.pb"] {
            let stand = Stand::start().await;
            let error = publish_as(&stand.cache(scheme), &handle(), flipped(name)).await;
            let Err(Error::Damaged { file, why }) = error else {
                panic!("{scheme} {name}: {error:?}");
            };
            assert_eq!(file, name);
            assert!(why.contains("CRC-32C"), "{why}");
            let names = stand.names();
            assert!(
                !names.iter().any(|there| there.ends_with(name)),
                "{names:?}"
            );
            assert!(!names.contains(&format!("{SHA1}.descriptor.txt")));
            assert!(!names.contains(&format!("{SHA1}.lock")), "it is let go");
            assert!(stand.cache(scheme).find(&handle()).await.is_none());
            // Another host's copy is right.
            let cache = stand.cache(scheme);
            publish(&cache, &model()).await.unwrap();
            assert!(cache.find(&handle()).await.is_some());
        }
    }
}

#[tokio::test]
async fn what_is_right_in_the_bucket_is_not_touched_by_a_copy_that_is_wrong() {
    let stand = Stand::start().await;
    publish(&stand.cache("gs"), &model()).await.unwrap();
    let told = publish_as(&stand.cache("gs"), &handle(), flipped("saved_model.pb")).await;
    assert_eq!(told.unwrap(), UploadOutcome::Present);
}
