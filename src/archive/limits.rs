//! How much an archive may ask of us. Each bound names the attack it answers.

/// Longest GNU long-name or pax record, in bytes. These are held in memory, so a header that claims gigabytes for
/// one is refused before anything is allocated. Names end at [`crate::handle::MAX_PATH`]; the rest is for sparse maps and xattrs.
pub const MAX_EXTENSION: u64 = 1 << 20;

/// Most data segments of one sparse member. The map is held in memory (16 bytes each) and the old GNU format and
/// pax 1.0 let it grow with the input, without announcing its size.
pub const MAX_SEGMENTS: usize = 1 << 16;

/// Most zero bytes behind the archive, in its own stream and in the compressed one. tar pads to a record (10 KiB
/// unless told otherwise, a few MiB on tapes); an endless stream of zeros is a way to hold a fill open for ever.
pub const MAX_PADDING: u64 = 64 << 20;

/// Bounds of one archive; the defaults let every model seen on TensorFlow Hub and Kaggle through with room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Most members, and most names (a path implies its parents). Answers archives of a million empty files, which
    /// cost an inode each. SavedModels have tens of files, sharded ones thousands. `--max-archive-entries`.
    pub max_entries: u64,
    /// Largest single file in bytes, holes included. Answers the header that claims 8 EiB. `--max-model-size`.
    pub max_file: u64,
    /// Largest sum of all files in bytes, holes and superseded copies included. `--max-model-size`.
    pub max_total: u64,
    /// Most decompressed bytes for one compressed byte, once [`Limits::ratio_floor`] bytes came out. Answers
    /// the decompression bomb. `--max-archive-ratio`.
    ///
    /// Deflate cannot exceed 1032:1 but bzip2 reaches 45,000:1 and xz 7,000:1. Trained weights compress by less than
    /// 2:1 and vocabularies by less than 20:1; 200:1 still allows a model that is nearly all zeros.
    pub max_ratio: u64,
    /// Decompressed bytes that are never judged by their ratio: a small model full of zeros is no attack.
    pub ratio_floor: u64,
    /// Most bytes of all distinct names together, implied parents included. Whoever keeps an index of the
    /// archive keeps these in memory.
    pub max_names: u64,
    /// Most memory in bytes for the xz dictionary, which the archive chooses (up to 4 GiB). `xz -9` needs 65 MiB.
    pub max_xz_memory: u64,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            max_entries: 100_000,
            max_file: 1 << 40,
            max_total: 1 << 40,
            max_ratio: 200,
            ratio_floor: 256 << 20,
            max_names: 32 << 20,
            max_xz_memory: 80 << 20,
        }
    }
}

impl Limits {
    /// The defaults, with what the user set: `--max-archive-entries`, `--max-model-size` (bytes; it bounds each file
    /// and their sum) and `--max-archive-ratio`.
    pub fn from_settings(
        entries: Option<u64>,
        model_size: Option<u64>,
        ratio: Option<u64>,
    ) -> Limits {
        let default = Limits::default();
        Limits {
            max_entries: entries.unwrap_or(default.max_entries),
            max_file: model_size.unwrap_or(default.max_file),
            max_total: model_size.unwrap_or(default.max_total),
            max_ratio: ratio.unwrap_or(default.max_ratio),
            ..default
        }
    }
}
