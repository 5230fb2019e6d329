//! Bytes over the network: one client, one retry policy, resume, checksums, deadlines.
