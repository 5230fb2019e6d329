//! The pieces that every page is made of.

use std::fmt::Write;

const STYLE: &str = include_str!("style.css");

/// Text as it stands in HTML, in an element or in a quoted attribute.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out += "&amp;",
            '<' => out += "&lt;",
            '>' => out += "&gt;",
            '"' => out += "&quot;",
            '\'' => out += "&#39;",
            // Control characters and those that turn the direction of writing could disguise a name.
            c if c.is_control()
                || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}') =>
            {
                out.push('\u{fffd}')
            }
            c => out.push(c),
        }
    }
    out
}

/// A whole page around `body`, which is HTML; `title` is text.
pub fn shell(title: &str, body: &str) -> String {
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <title>{}</title><style>{STYLE}</style></head>\n<body><main>{body}</main>\
         <footer>Served by tfhub-fs {} over TensorFlow Hub's hosting protocol.</footer></body></html>\n",
        escape(title),
        env!("CARGO_PKG_VERSION"),
    )
}

/// The way from the index to `name`, each step a link.
pub fn crumbs(name: &str) -> String {
    if name.is_empty() {
        return String::new();
    }
    let mut out = String::from("<nav><a href=\"/\">models</a>");
    let mut at = 0;
    for (index, _) in name.match_indices('/') {
        let step = escape(&name[at..index]);
        let _ = write!(out, " / <a href=\"/{}\">{step}</a>", escape(&name[..index]));
        at = index + 1;
    }
    let _ = write!(out, " / <b>{}</b></nav>", escape(&name[at..]));
    out
}

/// A block of lines to copy, under what it is.
pub fn code(label: &str, lines: &str) -> String {
    let lines: Vec<_> = lines.lines().map(escape).collect();
    format!(
        "<figure><figcaption>{}</figcaption><pre>{}</pre></figure>",
        escape(label),
        lines.join("\n")
    )
}

/// `1 file`, `2 files`.
pub fn plural(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

/// Bytes for people, in units of 1024 as tensorflow_hub prints them, with the prefix that says so.
pub fn size(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64 / 1024.0;
    let mut unit = 0;
    // 1023.95 would be shown as 1024.0.
    while value >= 1023.95 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS[unit])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn sizes_for_people() {
        let cases = [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1_048_575, "1.0 MiB"),
            (5 << 30, "5.0 GiB"),
            (u64::MAX, "16.0 EiB"),
        ];
        for (bytes, text) in cases {
            assert_eq!(size(bytes), text);
        }
    }

    #[test]
    fn crumbs_link_each_step() {
        let html = crumbs("g/m/1");
        assert_eq!(
            html,
            "<nav><a href=\"/\">models</a> / <a href=\"/g\">g</a> / <a href=\"/g/m\">m</a> / <b>1</b></nav>"
        );
        assert_eq!(crumbs(""), "");
    }

    proptest! {
        #[test]
        fn escaped_text_cannot_leave_its_place(text in any::<String>()) {
            let escaped = escape(&text);
            let dangerous = ['<', '>', '"', '\'', '\u{0}', '\u{202e}'];
            prop_assert!(!escaped.contains(dangerous));
        }
    }
}
