//! `serve` and `demo`: the hosting protocol and a page for people.
