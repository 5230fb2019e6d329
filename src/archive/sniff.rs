//! What the first bytes of a stream say about it.

use super::format::{Format, Looks};
use super::header;

/// Bytes that decide about compression.
pub(super) const MAGIC: usize = 10;

/// The compression, if these are the first bytes of a compressed stream.
pub(super) fn compression(head: &[u8]) -> Option<Format> {
    if head.starts_with(&[0x1f, 0x8b]) {
        return Some(Format::Gzip);
    }
    // The digit and what follows it tell bzip2 from a plain tar whose first name begins with "BZh". The second
    // form is a stream without a block.
    let block =
        |tail: &[u8]| tail.starts_with(b"1AY&SY") || tail.starts_with(b"\x17\x72\x45\x38\x50\x90");
    if head.starts_with(b"BZh") && matches!(head.get(3), Some(b'1'..=b'9')) && block(&head[4..]) {
        return Some(Format::Bzip2);
    }
    head.starts_with(b"\xfd7zXZ\0").then_some(Format::Xz)
}

/// Whether this is the first block of a tar archive (or of an empty one, which is all zeros).
pub(super) fn is_tar(block: &[u8; 512]) -> bool {
    &block[257..262] == b"ustar"
        || header::checksum_holds(block)
        || block.iter().all(|byte| *byte == 0)
}

/// Guesses from the first bytes, for people who read the message.
pub(super) fn looks(head: &[u8]) -> Looks {
    let text = head
        .strip_prefix(b"\xef\xbb\xbf")
        .unwrap_or(head)
        .trim_ascii_start();
    let lower = text[..text.len().min(16)].to_ascii_lowercase();
    let begins = |with: &[u8]| head.starts_with(with);
    if head.is_empty() {
        Looks::Nothing
    } else if [&b"<!doctype html"[..], b"<html", b"<head"]
        .iter()
        .any(|tag| lower.starts_with(tag))
    {
        Looks::Html
    } else if text.starts_with(b"<") {
        Looks::Xml
    } else if text.starts_with(b"{") || text.starts_with(b"[") {
        Looks::Json
    } else if begins(b"version https://git-lfs") {
        Looks::GitLfs
    } else if begins(b"PK\x03\x04") || begins(b"PK\x05\x06") {
        Looks::Zip
    } else if begins(b"\x28\xb5\x2f\xfd") {
        Looks::Zstd
    } else if begins(b"7z\xbc\xaf\x27\x1c") {
        Looks::SevenZip
    } else if begins(b"\x5d\x00\x00") {
        Looks::Lzma
    } else if compression(head).is_some() {
        Looks::CompressedTwice
    } else if head.get(4..8) == Some(b"TFL3") {
        Looks::TfLite
    } else if head
        .iter()
        .all(|byte| matches!(byte, b'\t' | b'\n' | b'\r' | 0x20..=0x7e))
    {
        Looks::Text
    } else {
        Looks::Unknown
    }
}
