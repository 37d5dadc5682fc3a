//! What is shown to people: said in the terminal, and written as a page that a browser shows by itself.

use std::fmt::Write;
use std::time::Duration;

use crate::terminal::{self, Paint, say};
use crate::timeline::{self, Ink, Line, Span, Tone};

/// A part of what is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// What comes next.
    Heading(String),
    /// A paragraph.
    Text(String),
    /// Bars over a time axis.
    Chart(Chart),
    /// A mail that was sent.
    Mail {
        /// The address.
        to: String,
        /// The subject.
        subject: String,
        /// The text.
        body: String,
    },
    /// Names, and what there is to say of each, in lines.
    Rows(Vec<(String, Vec<String>)>),
    /// What somebody types, to be copied as it stands.
    Command(String),
}

/// Bars over a time axis, and what they mean.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chart {
    /// Over the texts on the right.
    pub heading: String,
    /// The lines.
    pub lines: Vec<Line>,
    /// What a bar of each look means.
    pub legend: Vec<(Ink, Tone, &'static str)>,
}

impl Part {
    /// A row with one line.
    #[must_use]
    pub fn row(name: &str, text: impl Into<String>) -> Self {
        Self::Rows(vec![(name.to_owned(), vec![text.into()])])
    }

    /// Says it in the terminal.
    pub fn say(&self, paint: Paint) {
        match self {
            Self::Heading(text) => {
                say("");
                for line in terminal::wrap(text, terminal::width()) {
                    say(&paint.bold(&line));
                }
                say("");
            }
            // As wide as reads well.
            Self::Text(text) => {
                for line in terminal::wrap(text, terminal::width().min(100) - 2) {
                    say(&format!("  {line}"));
                }
                if text.ends_with(':') {
                    say("");
                }
            }
            Self::Chart(chart) => {
                say(&timeline::draw(&chart.lines, &chart.heading, terminal::width(), paint));
                let meanings = chart.legend.iter();
                let meanings = meanings.map(|(ink, tone, text)| format!("{} {text}", tone.painted(paint, ink.block())));
                if !chart.legend.is_empty() {
                    say(&format!("  {}\n", meanings.collect::<Vec<_>>().join("   ")));
                }
            }
            Self::Mail { to, subject, body } => {
                let line = |text: &str| say(&format!("  {} {text}", paint.faint("│")));
                line(&format!("To: {to}"));
                line(&format!("Subject: {}", paint.bold(subject)));
                line("");
                body.lines().for_each(line);
                say("");
            }
            Self::Command(text) => {
                for (at, line) in text.lines().enumerate() {
                    let prompt = if at == 0 { "$" } else { ">" };
                    say(&format!("    {} {line}", paint.faint(prompt)));
                }
                say("");
            }
            Self::Rows(rows) => {
                let names = rows.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
                for (name, texts) in rows {
                    let width = terminal::width().saturating_sub(names + 6);
                    let lines = texts.iter().flat_map(|text| terminal::wrap(text, width));
                    for (at, line) in lines.enumerate() {
                        let name = if at == 0 { name } else { "" };
                        say(&format!("    {}  {line}", paint.faint(&format!("{name:<names$}"))));
                    }
                }
                say("");
            }
        }
    }
}

/// The page: everything that it needs is in it.
#[must_use]
pub fn html(title: &str, parts: &[Part]) -> String {
    let mut body = String::new();
    for part in parts {
        write_part(&mut body, part);
    }
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{title}</title>\n\
         <style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n<h1>{title}</h1>\n{body}</main>\n</body>\n</html>\n",
        title = escaped(title),
    )
}

const STYLE: &str = include_str!("page.css");

fn write_part(page: &mut String, part: &Part) {
    // Writing to a text cannot fail.
    let _ = match part {
        Part::Heading(text) => writeln!(page, "<h2>{}</h2>", escaped(text)),
        Part::Text(text) => writeln!(page, "<p>{}</p>", escaped(text)),
        Part::Chart(chart) => {
            write_chart(page, chart);
            Ok(())
        }
        Part::Mail { to, subject, body } => writeln!(
            page,
            "<figure class=\"mail\"><figcaption>To: {}<br><strong>{}</strong></figcaption><pre>{}</pre></figure>",
            escaped(to),
            escaped(subject),
            escaped(body)
        ),
        Part::Command(text) => writeln!(page, "<pre class=\"command\">{}</pre>", escaped(text)),
        Part::Rows(rows) => {
            page.push_str("<dl>\n");
            for (name, texts) in rows {
                let _ = write!(page, "<dt>{}</dt>", escaped(name));
                for text in texts {
                    let _ = write!(page, "<dd>{}</dd>", escaped(text));
                }
                page.push('\n');
            }
            writeln!(page, "</dl>")
        }
    };
}

fn write_chart(page: &mut String, chart: &Chart) {
    let total = timeline::total(&chart.lines);
    let percent = |time: Duration| 100.0 * time.as_secs_f64() / total.as_secs_f64();
    let _ = write!(page, "<figure class=\"chart\">\n<div class=\"axis\"><span></span><div>");
    // At the very end there is no room for its text.
    for tick in timeline::ticks(total).filter(|tick| percent(*tick) < 93.0) {
        let text = crate::progress::seconds(tick);
        let _ = write!(page, "<i style=\"left:{:.2}%\">{text}</i>", percent(tick));
    }
    let _ = writeln!(page, "</div><span>{}</span></div>", escaped(&chart.heading));
    for line in &chart.lines {
        let _ = write!(
            page,
            "<div class=\"line\"><b>{}</b><div class=\"bars\">",
            escaped(&line.name)
        );
        for Span { from, to, ink, tone } in &line.spans {
            let (left, width) = (percent(*from), percent(to.saturating_sub(*from)));
            let _ = write!(
                page,
                "<i class=\"{} {}\" style=\"left:{left:.2}%;width:max({width:.2}%,3px)\" title=\"{} to {}\"></i>",
                ink.word(),
                tone.word(),
                crate::progress::seconds(*from),
                crate::progress::seconds(*to),
            );
        }
        let _ = writeln!(
            page,
            "</div><span class=\"{}\">{}</span></div>",
            line.tone.word(),
            escaped(line.text.trim())
        );
    }
    if !chart.legend.is_empty() {
        page.push_str("<figcaption>");
        for (ink, tone, text) in &chart.legend {
            let _ = write!(
                page,
                "<span><i class=\"{} {}\"></i>{}</span>",
                ink.word(),
                tone.word(),
                escaped(text)
            );
        }
        page.push_str("</figcaption>\n");
    }
    page.push_str("</figure>\n");
}

fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_has_everything_and_needs_nothing() {
        let span = |from, to, ink, tone| Span {
            from: Duration::from_millis(from),
            to: Duration::from_millis(to),
            ink,
            tone,
        };
        let chart = Chart {
            heading: "fence".to_owned(),
            lines: vec![Line {
                name: "a < b".to_owned(),
                spans: vec![
                    span(0, 1000, Ink::Light, Tone::Held),
                    span(1000, 4000, Ink::Solid, Tone::Good),
                ],
                text: "  7  ".to_owned(),
                tone: Tone::Good,
            }],
            legend: vec![(Ink::Light, Tone::Held, "waits")],
        };
        let page = html(
            "A & B",
            &[
                Part::Heading("In order".to_owned()),
                Part::Text("It said \"no\".".to_owned()),
                Part::Chart(chart),
                Part::Mail {
                    to: "ana@example.com".to_owned(),
                    subject: "[FAILED] x".to_owned(),
                    body: "State <X>\n  failed".to_owned(),
                },
                Part::row("Output", "{}"),
                Part::Command("start \\\n  now & then".to_owned()),
            ],
        );
        for text in [
            "<title>A &amp; B</title>",
            "<h2>In order</h2>",
            "<p>It said &quot;no&quot;.</p>",
            "<b>a &lt; b</b>",
            "<i class=\"light held\" style=\"left:0.00%;width:max(25.00%,3px)\" title=\"0.0 s to 1.0 s\"></i>",
            "<i class=\"solid good\" style=\"left:25.00%;width:max(75.00%,3px)\" title=\"1.0 s to 4.0 s\"></i>",
            "<span class=\"good\">7</span>",
            "<span><i class=\"light held\"></i>waits</span>",
            "<pre>State &lt;X&gt;\n  failed</pre>",
            "<dt>Output</dt><dd>{}</dd>",
            "<pre class=\"command\">start \\\n  now &amp; then</pre>",
        ] {
            assert!(page.contains(text), "{text} in {page}");
        }
        for outside in ["http", "<script", "src=", "@import", "url("] {
            assert!(!page.contains(outside), "{outside}");
        }
    }
}
