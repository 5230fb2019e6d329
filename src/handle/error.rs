//! Why a text is no handle, and why a path is no name.

/// A text that is no handle, or a handle that no path can name: what was typed, why not, what to type instead.
///
/// A typed URL is shown without its query and without a user part, which may hold secrets.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HandleError {
    /// No `https://` in front.
    #[error("`{typed}` is not a model URL: it has no scheme; did you mean `{hint}`?")]
    NoScheme {
        /// What was typed.
        typed: String,
        /// The URL that was probably meant.
        hint: String,
    },
    /// A scheme that is not read.
    #[error(
        "`{typed}` cannot be read: models come from https://, http://, gs:// and s3:// URLs, not from `{scheme}://`"
    )]
    Scheme {
        /// What was typed.
        typed: String,
        /// The scheme, in lower case.
        scheme: String,
    },
    /// The host is none.
    #[error("`{host}` in `{typed}` is not a host name: {why}")]
    Host {
        /// What was typed.
        typed: String,
        /// The part that should be a host.
        host: String,
        /// What is wrong with it.
        why: BadHost,
    },
    /// No bucket's name after `gs://` or `s3://`.
    #[error(
        "`{typed}` names no bucket: its name has 3 or more small letters, digits, `-`, `_`, `.`"
    )]
    Bucket {
        /// What was typed.
        typed: String,
    },
    /// Credentials in the URL.
    #[error(
        "the URL for `{host}` has a user name or password in it, which would end up in names and logs; leave out everything up to the `@`"
    )]
    UserPart {
        /// The host, without the user part.
        host: String,
    },
    /// A host or the hub's base, without a model.
    #[error(
        "`{typed}` names a host or a hub, and no model; type a model's URL, like `https://tfhub.dev/google/nnlm-en-dim128/2`"
    )]
    NoPath {
        /// What was typed.
        typed: String,
    },
    /// A component of the path that can be no directory's name.
    #[error("`{typed}` cannot be a path: in it, {why}")]
    Name {
        /// What was typed.
        typed: String,
        /// What is wrong, and what to type instead.
        why: BadName,
    },
    /// A character in the query that is in no URL.
    #[error(
        "the query of `{typed}` has the character {bad:?} in it, which is in no URL; write it percent-encoded, or leave out the `?` and what follows"
    )]
    Query {
        /// What was typed, without the query.
        typed: String,
        /// The first offending character.
        bad: char,
    },
    /// A Kaggle URL that is not a model's.
    #[error(
        "`{typed}` is not a Kaggle model: type https://www.kaggle.com/models/OWNER/MODEL/FRAMEWORK/VARIATION/VERSION, or the long form with frameworks/, variations/ and versions/ in it, as the model's page shows it"
    )]
    Kaggle {
        /// What was typed.
        typed: String,
    },
    /// Plain http to a host that it is not spoken to.
    #[error("refusing plain HTTP to {host} for `{url}`; use https:// or pass --allow-http {host}")]
    PlainHttp {
        /// The handle's URL.
        url: String,
        /// The host, without a port.
        host: String,
    },
    /// A handle that goes on below another model's root.
    #[error(
        "`{url}` lies inside the model `{root}`: a handle ends at its version or archive, and what follows is a path within the model"
    )]
    BelowRoot {
        /// The handle's URL.
        url: String,
        /// The model it is in.
        root: String,
    },
    /// `latest` where it means the newest version.
    #[error(
        "`{url}` is no handle of its own: for the newest version of `{model}`, type that, without `latest`"
    )]
    Latest {
        /// The handle's URL.
        url: String,
        /// The model without its version.
        model: String,
    },
    /// A name on the hub that reads as a host.
    #[error(
        "`{url}` has no path: `{first}` would be read as a host, because it is the first name and has a dot or a colon in it"
    )]
    ReadsAsHost {
        /// The handle's URL.
        url: String,
        /// The first component below the hub.
        first: String,
    },
    /// A hub URL that can be none.
    #[error("`{typed}` cannot be the hub: {why}")]
    Hub {
        /// What was typed.
        typed: String,
        /// What is wrong with it.
        why: String,
    },
}

/// A path that names nothing and never will, whatever the network says: ENOENT without a request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NoName {
    /// A component that can be in no handle.
    #[error("no model has such a name: {0}")]
    Name(#[from] BadName),
    /// A first component that looks like a host and is none.
    #[error("`{name}` looks like a host and is none: {why}")]
    Host {
        /// The component.
        name: String,
        /// What is wrong with it.
        why: BadHost,
    },
    /// `http:/` and a host that plain http is not spoken to.
    #[error(
        "plain http is not spoken to `{host}`; use `https:/{host}`, or mount with --allow-http {host}"
    )]
    PlainHttp {
        /// The host, without a port.
        host: String,
    },
    /// What follows `gs:/` or `s3:/` is no bucket.
    #[error(
        "`{name}` cannot be a bucket: its name has 3 or more small letters, digits, `-`, `_`, `.`"
    )]
    Bucket {
        /// The component that should be a bucket.
        name: String,
    },
    /// Not a Kaggle model's path.
    #[error(
        "`{name}` is not part of a Kaggle model's name, which is models/OWNER/MODEL/FRAMEWORK/VARIATION/VERSION or its long form"
    )]
    Kaggle {
        /// The component that does not fit.
        name: String,
    },
    /// The path leads through a symbolic link; ask for the link and follow it.
    #[error("the path leads through the link `{link}`")]
    BeyondLink {
        /// The component that is a link.
        link: String,
    },
}

/// Why a component can be no part of a handle.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadName {
    /// Empty, as between two slashes.
    #[error("there is nothing between two slashes; type one slash")]
    Empty,
    /// `.` or `..`, also percent-encoded.
    #[error("`{0}` is no name; type the URL without it")]
    Dots(String),
    /// A slash or NUL within a component.
    #[error("a name holds a slash or a NUL")]
    Unfit,
    /// A hidden name.
    #[error("`{0}` begins with a dot, and no model's name does")]
    LeadingDot(String),
    /// Longer than a directory's name can be.
    #[error("a name is {0} bytes long; a file system allows 255")]
    TooLong(usize),
    /// A character that is in no URL path.
    #[error("`{name}` has the character {bad:?} in it; a URL has it percent-encoded")]
    Character {
        /// The component.
        name: String,
        /// The first offending character.
        bad: char,
    },
    /// `%` without two hex digits.
    #[error("a `%` in `{0}` is not followed by two hex digits; write `%25` for the sign itself")]
    Percent(String),
    /// A number that is no version.
    #[error("`{0}` is too large a number for a version")]
    Digits(String),
    /// A file that lies within models and names none.
    #[error("`{0}` is the name of a file within a model; type its model's URL")]
    FileOfAModel(String),
}

/// Why a text is no host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadHost {
    /// Nothing there, or an empty label.
    #[error("a part of it is empty")]
    Empty,
    /// A character outside host names.
    #[error(
        "a host has letters, digits, `-`, `_` and dots; write other letters in their `xn--` form"
    )]
    Character,
    /// Too long for DNS.
    #[error("it is longer than a host name can be")]
    TooLong,
    /// Ends in a number, and is no IPv4 address; or brackets without an IPv6 address.
    #[error("it is not a valid IP address")]
    Address,
    /// Not 1 to 65535.
    #[error("its port is not a number from 1 to 65535")]
    Port,
}
