//! Tests against a scripted bucket.
