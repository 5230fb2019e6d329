//! Which form of a model a query asks for.

/// The form that is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// None: a person looks.
    Page,
    /// An archive.
    Compressed,
    /// A folder of a bucket.
    Uncompressed,
    /// The file of a TF Lite model.
    Lite,
    /// The archive of a TF.js model.
    JsArchive,
    /// One file of a TF.js model.
    JsFile,
    /// Something else; this says what there is.
    Unknown(&'static str),
}

impl Format {
    /// Old clients send a list of what they accept, some queries hold the key
    /// twice: whatever names `compressed` among others gets it.
    pub fn of(query: Option<&str>) -> Format {
        let query = query.unwrap_or_default().as_bytes();
        let values = |key: &str| {
            let pairs = url::form_urlencoded::parse(query);
            let values = pairs.filter(|(found, _)| found == key);
            values.map(|(_, value)| value).collect::<Vec<_>>()
        };
        for (key, known, unknown) in KEYS {
            let values = values(key);
            if values.is_empty() {
                continue;
            }
            let names = |format: &str| {
                let mut each = values.iter().flat_map(|value| value.split(','));
                each.any(|one| one.trim() == format)
            };
            let named = known.iter().find(|(name, _)| names(name));
            return named.map_or(Format::Unknown(unknown), |(_, format)| *format);
        }
        Format::Page
    }
}

/// A key, its values, the one that wins first, and what to say of any other.
type Key = (
    &'static str,
    &'static [(&'static str, Format)],
    &'static str,
);

const KEYS: [Key; 3] = [
    (
        "tf-hub-format",
        &[
            ("compressed", Format::Compressed),
            ("uncompressed", Format::Uncompressed),
        ],
        "tf-hub-format is compressed or uncompressed\n",
    ),
    (
        "lite-format",
        &[("tflite", Format::Lite)],
        "lite-format is tflite\n",
    ),
    (
        "tfjs-format",
        &[("compressed", Format::JsArchive), ("file", Format::JsFile)],
        "tfjs-format is compressed, or file for one file\n",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_format_is_read_as_old_and_new_clients_write_it() {
        for (query, format) in [
            (None, Format::Page),
            (Some("tfhub-redirect=true"), Format::Page),
            (Some("tf-hub-format=compressed"), Format::Compressed),
            (
                Some("tf-hub-format=test&tf-hub-format=compressed"),
                Format::Compressed,
            ),
            (
                Some("tf-hub-format=uncompressed,compressed"),
                Format::Compressed,
            ),
            (Some("tf-hub-format=uncompressed"), Format::Uncompressed),
            (Some("lite-format=tflite&tfhub-redirect=true"), Format::Lite),
            (Some("tfjs-format=compressed"), Format::JsArchive),
            (Some("tfjs-format=file"), Format::JsFile),
            (Some("lite-format=zip"), Format::Unknown(KEYS[1].2)),
            (Some("tf-hub-format=Compressed"), Format::Unknown(KEYS[0].2)),
            (Some("tf-hub-format"), Format::Unknown(KEYS[0].2)),
        ] {
            assert_eq!(Format::of(query), format, "{query:?}");
        }
    }
}
