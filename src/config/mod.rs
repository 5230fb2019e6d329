//! Checked settings with their origin.
