//! Tables that line up on a terminal, and are Markdown.

use std::fmt;

/// A table: numbers in columns, each row with its name.
#[derive(Debug, Clone)]
pub struct Sheet {
    title: String,
    head: Vec<String>,
    rows: Vec<Vec<String>>,
    notes: Vec<String>,
}

impl Sheet {
    /// A table with these columns, the first of which has the names of the rows.
    pub fn new<const N: usize>(title: impl Into<String>, head: [&str; N]) -> Self {
        Self {
            title: title.into(),
            head: head.map(str::to_owned).to_vec(),
            rows: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// Adds a sentence below the table.
    pub fn note(&mut self, sentence: String) {
        self.notes.push(sentence);
    }

    /// Adds a row.
    pub fn row(&mut self, name: &str, cells: impl IntoIterator<Item = String>) {
        let mut row = vec![name.to_owned()];
        row.extend(cells);
        row.resize(self.head.len(), String::new());
        self.rows.push(row);
    }
}

impl fmt::Display for Sheet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines = || std::iter::once(&self.head).chain(&self.rows);
        let widths: Vec<usize> = (0..self.head.len())
            .map(|column| {
                lines()
                    .map(|line| line[column].chars().count())
                    .max()
                    .unwrap_or(0)
                    .max(3)
            })
            .collect();
        writeln!(f, "**{}**\n", self.title)?;
        for (number, line) in lines().enumerate() {
            for (column, (cell, width)) in line.iter().zip(&widths).enumerate() {
                match column {
                    0 => write!(f, "| {cell:<width$} ")?,
                    _ => write!(f, "| {cell:>width$} ")?,
                }
            }
            writeln!(f, "|")?;
            if number == 0 {
                for (column, width) in widths.iter().enumerate() {
                    match column {
                        0 => write!(f, "|{}", "-".repeat(width + 2))?,
                        _ => write!(f, "|{}:", "-".repeat(width + 1))?,
                    }
                }
                writeln!(f, "|")?;
            }
        }
        for note in &self.notes {
            writeln!(f, "\n{note}")?;
        }
        Ok(())
    }
}

/// A number with its thousands apart, and only the decimals that it has, up to two.
#[must_use]
pub fn number(number: f64) -> String {
    let text = format!("{number:.2}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    let (whole, decimals) = text.split_once('.').map_or((text, ""), |(whole, rest)| (whole, rest));
    let digits: Vec<char> = whole.chars().collect();
    let mut apart = String::new();
    for (at, digit) in digits.iter().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) && digits[at - 1].is_ascii_digit() {
            apart.push(',');
        }
        apart.push(*digit);
    }
    match decimals {
        "" => apart,
        _ => format!("{apart}.{decimals}"),
    }
}

/// A count.
#[must_use]
pub fn count(count: u64) -> String {
    // Exact up to 2^53.
    #[allow(clippy::cast_precision_loss, reason = "no count here comes near it")]
    number(count as f64)
}

/// Milliseconds, as people read them.
#[must_use]
pub fn millis(millis: i64) -> String {
    format!("{} ms", number(f64::from(i32::try_from(millis).unwrap_or(i32::MAX))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let mut sheet = Sheet::new("two", ["", "lock", "polling"]);
        sheet.row("transitions", ["60".to_owned(), "1,240".to_owned()]);
        sheet.row("ß", ["1".to_owned()]);
        assert_eq!(
            sheet.to_string(),
            "**two**\n\n\
             |             | lock | polling |\n\
             |-------------|-----:|--------:|\n\
             | transitions |   60 |   1,240 |\n\
             | ß           |    1 |         |\n"
        );
        sheet.note("All of them.".to_owned());
        assert!(sheet.to_string().ends_with("|\n\nAll of them.\n"));
    }

    #[test]
    fn numbers_are_readable() {
        let texts = [0.0, 1.5, 2.125, 999.0, 1000.0, 1_234_567.5, -1234.0].map(number);
        assert_eq!(texts, ["0", "1.5", "2.12", "999", "1,000", "1,234,567.5", "-1,234"]);
        assert_eq!(millis(20_001), "20,001 ms");
    }
}
