//! fuser's trait as a thin skin over `tree`; the one errno table; passthrough; the table of waiters.
