//! Counters and last errors.
