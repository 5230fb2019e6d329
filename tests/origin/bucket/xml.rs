//! Listings of the XML surface, in the second version.

use super::list::{Listed, Page};
use super::{Bucket, Surface};
use crate::origin::object::UPDATED;
use crate::origin::wire::{Reply, Request};

/// One page of a bucket.
pub fn list(bucket: &Bucket, request: &Request) -> Reply {
    let number = |name: &str| request.asked(name).and_then(|text| text.parse().ok());
    let after = request
        .asked("continuation-token")
        .or_else(|| request.asked("start-after"))
        .unwrap_or_default();
    let mut page = Page::default();
    let most = number("max-keys").unwrap_or(1000).clamp(1, 1000);
    let next = page.fill(bucket, request, &after, most);
    let mut text = format!(
        "<?xml version='1.0' encoding='UTF-8'?><ListBucketResult><Name>{}</Name><KeyCount>{}</KeyCount>",
        bucket.name,
        page.len()
    );
    text += &match &next {
        Some(next) => format!(
            "<IsTruncated>true</IsTruncated><NextContinuationToken>{}</NextContinuationToken>",
            escaped(next)
        ),
        None => "<IsTruncated>false</IsTruncated>".to_owned(),
    };
    for Listed { key, object } in &page.objects {
        text += &format!(
            "<Contents><Key>{}</Key><LastModified>{UPDATED}</LastModified><ETag>{}</ETag><Size>{}</Size></Contents>",
            escaped(key),
            escaped(&object.etag(Surface::Xml)),
            object.listed_size()
        );
    }
    for prefix in &page.prefixes {
        let prefix = escaped(prefix);
        text += &format!("<CommonPrefixes><Prefix>{prefix}</Prefix></CommonPrefixes>");
    }
    let mut reply = Reply::new(200, text + "</ListBucketResult>");
    reply.object = true;
    reply.header("Content-Type", "application/xml; charset=UTF-8")
}

fn escaped(text: &str) -> String {
    quick_xml::escape::escape(text).into_owned()
}
