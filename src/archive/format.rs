//! Names of what a stream may be: a compression, or something that is no archive.

use std::fmt;

/// How the archive is compressed, told by its content; names and content types lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Not compressed.
    Tar,
    /// RFC 1952.
    Gzip,
    /// bzip2.
    Bzip2,
    /// The .xz container.
    Xz,
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Format::Tar => "tar",
            Format::Gzip => "gzip",
            Format::Bzip2 => "bzip2",
            Format::Xz => "xz",
        })
    }
}

/// What a stream that is no archive looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "each variant is what its message says")]
pub enum Looks {
    Nothing,
    Html,
    Json,
    Xml,
    GitLfs,
    Zip,
    Zstd,
    SevenZip,
    Lzma,
    CompressedTwice,
    TfLite,
    Text,
    Unknown,
}

impl Looks {
    /// What to do about it.
    pub(super) fn hint(self) -> &'static str {
        match self {
            Looks::Html | Looks::Text => {
                "the server answered with a page for people: open the URL in a browser to see it"
            }
            Looks::Json | Looks::Xml => {
                "the server probably answered with an error: open the URL in a browser to see it"
            }
            Looks::Zip | Looks::Zstd | Looks::SevenZip | Looks::Lzma | Looks::CompressedTwice => {
                "pack the model as .tar.gz, .tar.bz2, .tar.xz or .tar"
            }
            Looks::GitLfs => "the origin serves the pointer instead of the file it stands for",
            Looks::TfLite => "pack it in a .tar.gz, or use the handle of the archive",
            Looks::Nothing | Looks::Unknown => "check the URL",
        }
    }
}

impl fmt::Display for Looks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Looks::Nothing => "nothing at all (no bytes)",
            Looks::Html => "an HTML page",
            Looks::Json => "JSON",
            Looks::Xml => "XML",
            Looks::GitLfs => "a Git LFS pointer",
            Looks::Zip => "a zip file",
            Looks::Zstd => "a zstd stream",
            Looks::SevenZip => "a 7z file",
            Looks::Lzma => "an old .lzma stream, which carries no checksum",
            Looks::CompressedTwice => "something compressed twice",
            Looks::TfLite => "a bare TF Lite file",
            Looks::Text => "text",
            Looks::Unknown => "something unknown",
        })
    }
}
