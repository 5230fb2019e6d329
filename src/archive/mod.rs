//! An untrusted tar stream: compression told apart by content, vetted names, limits, every refusal a named error.
