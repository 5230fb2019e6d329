//! tensorflow_hub's switch that turns certificate checks off.

use super::Env;

/// The variable that tensorflow_hub reads.
const VARIABLE: &str = "TFHUB_DISABLE_CERT_VALIDATION";

/// Whether certificates are to be verified: unless `TFHUB_DISABLE_CERT_VALIDATION` is exactly
/// `true`. `TRUE` and `1` change nothing, as in tensorflow_hub (`resolver.py`, `_call_urlopen`).
pub fn verify_certificates(around: &Env<'_>) -> bool {
    around.var(VARIABLE).is_none_or(|value| value != "true")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn only_the_exact_word_turns_it_off() {
        for (value, want) in [
            (None, true),
            (Some(""), true),
            (Some("TRUE"), true),
            (Some("1"), true),
            (Some("true "), true),
            (Some("true"), false),
        ] {
            let around = Env {
                vars: &|name| value.filter(|_| name == VARIABLE).map(Into::into),
                uid: 1,
                cwd: Path::new("/"),
            };
            assert_eq!(verify_certificates(&around), want, "{value:?}");
        }
    }
}
