//! The filesystem in our own words: nodes, names, listings, attributes, open files.
