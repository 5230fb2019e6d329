//! What the user typed, what they are told, and exit codes; one file a subcommand.
