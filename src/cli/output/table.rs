//! Tables.

use super::stdout::say;
use crate::cli::failure::Failure;
use crate::os;

/// A shorter part of the last column tells nobody anything.
const SHORTEST: usize = 12;

/// Prints rows under their headings, each column as wide as it needs to be; the last one is not padded. On a terminal that is
/// too narrow it is shortened, or left out.
pub(in crate::cli) fn print(headings: &[&str], rows: &[Vec<String>]) -> Result<(), Failure> {
    say(&laid_out(
        headings,
        rows,
        os::terminal::columns(&std::io::stdout()),
    ))
}

fn laid_out(headings: &[&str], rows: &[Vec<String>], columns: Option<usize>) -> String {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        let longest = cells.map(|cell| cell.chars().count()).max().unwrap_or(0);
        longest.max(headings.get(column).map_or(0, |heading| heading.len()))
    };
    let mut widths: Vec<usize> = (0..headings.len()).map(width).collect();
    if let Some(columns) = columns {
        let is_empty = |at: usize| {
            rows.iter()
                .all(|row| row.get(at).is_none_or(String::is_empty))
        };
        fit(&mut widths, columns, is_empty);
    }
    let last = widths.len().saturating_sub(1);
    let line = |cells: Vec<&str>| {
        let padded = cells.iter().zip(&widths).enumerate();
        let padded = padded.map(|(at, (cell, width))| match at == last {
            true => shortened(cell, *width),
            false => format!("{cell:width$}  "),
        });
        padded.collect::<String>().trim_end().to_owned() + "\n"
    };
    let mut text = line(headings.to_vec());
    for row in rows {
        text.push_str(&line(row.iter().map(String::as_str).collect()));
    }
    text
}

/// Makes the columns fit: the last one is shortened or left out, and then those at the end with nothing in them.
fn fit(widths: &mut Vec<usize>, columns: usize, is_empty: impl Fn(usize) -> bool) {
    let whole =
        |widths: &[usize]| widths.iter().sum::<usize>() + 2 * widths.len().saturating_sub(1);
    let over = whole(widths).saturating_sub(columns);
    match widths.last_mut() {
        Some(last) if over > 0 && *last >= over + SHORTEST => *last -= over,
        Some(_) if over > 0 => drop(widths.pop()),
        _ => return,
    }
    while whole(widths) > columns && widths.len() > 1 && is_empty(widths.len() - 1) {
        widths.pop();
    }
}

fn shortened(cell: &str, width: usize) -> String {
    match cell.chars().count() > width {
        true => cell
            .chars()
            .take(width.saturating_sub(1))
            .chain(['…'])
            .collect(),
        false => cell.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_narrow_terminal_gets_less_of_the_last_column() {
        let row = ["handle", "1 B", "", "https://h/a/very/long/name"].map(str::to_owned);
        let headings = ["HANDLE", "SIZE", "PINNED", "ORIGIN"];
        let shown = |columns| laid_out(&headings, &[row.to_vec()], columns);
        let wide =
            "HANDLE  SIZE  PINNED  ORIGIN\nhandle  1 B           https://h/a/very/long/name\n";
        for columns in [None, Some(200), Some(48)] {
            assert_eq!(shown(columns), wide, "{columns:?}");
        }
        let short = "HANDLE  SIZE  PINNED  ORIGIN\nhandle  1 B           https://h/a/very/…\n";
        assert_eq!(shown(Some(40)), short);
        assert_eq!(shown(Some(30)), "HANDLE  SIZE  PINNED\nhandle  1 B\n");
        for columns in [12, 5] {
            assert_eq!(shown(Some(columns)), "HANDLE  SIZE\nhandle  1 B\n");
        }
        let pinned = vec![
            String::from("handle"),
            String::new(),
            String::from("pinned"),
        ];
        let shown = laid_out(&["HANDLE", "SIZE", "PINNED", "ORIGIN"], &[pinned], Some(5));
        assert_eq!(shown, "HANDLE  SIZE  PINNED\nhandle        pinned\n");
    }
}
