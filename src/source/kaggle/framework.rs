//! The frameworks that Kaggle knows, and their spellings.
//!
//! URLs have slugs (`tensorFlow2`); the API answers with slugs, with the same words capitalised (`TensorFlow2`) or with the
//! names of an enumeration (`MODEL_FRAMEWORK_TENSOR_FLOW_2`), which its own clients take as one.

/// As they are spelled in URLs.
const SLUGS: [&str; 23] = [
    "tensorFlow1",
    "tensorFlow2",
    "tfLite",
    "tfJs",
    "pyTorch",
    "jax",
    "flax",
    "pax",
    "maxText",
    "gemmaCpp",
    "ggml",
    "gguf",
    "coral",
    "scikitLearn",
    "mxnet",
    "onnx",
    "keras",
    "transformers",
    "api",
    "other",
    "tensorRtLlm",
    "triton",
    "vllm",
];

/// Names of the enumeration begin so.
const PREFIX: &str = "MODEL_FRAMEWORK_";

/// The slug that `name` is a spelling of; of an unknown one, `name` itself.
pub(super) fn slug(name: &str) -> &str {
    let bare = name.strip_prefix(PREFIX).unwrap_or(name).replace('_', "");
    let mut known = SLUGS.into_iter();
    known
        .find(|slug| slug.eq_ignore_ascii_case(&bare))
        .unwrap_or(name)
}

/// Whether both are spellings of one framework.
pub(super) fn same(one: &str, other: &str) -> bool {
    slug(one).eq_ignore_ascii_case(slug(other))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_is_one_slug() {
        for (name, want) in [
            ("tensorFlow2", "tensorFlow2"),
            ("TensorFlow2", "tensorFlow2"),
            ("TENSORFLOW2", "tensorFlow2"),
            ("MODEL_FRAMEWORK_TENSOR_FLOW_2", "tensorFlow2"),
            ("MODEL_FRAMEWORK_TF_LITE", "tfLite"),
            ("TfLite", "tfLite"),
            ("MODEL_FRAMEWORK_PY_TORCH", "pyTorch"),
            ("MODEL_FRAMEWORK_TENSOR_RT_LLM", "tensorRtLlm"),
            ("newFramework", "newFramework"),
        ] {
            assert_eq!(slug(name), want);
        }
        assert!(same("TFLITE", "MODEL_FRAMEWORK_TF_LITE") && same("New", "new"));
        assert!(!same("tensorFlow1", "tensorFlow2"));
    }
}
