//! Tables of records, for a terminal and for Markdown.

use std::fmt::Write as _;

use crate::record::Record;

const HEAD: [&str; 8] = [
    "axis", "unit", "ours", "against", "ratio", "goal", "spread", "peers",
];

/// Columns as wide as they must be; the last one runs free.
pub fn for_terminal(krate: &str, records: &[Record]) -> String {
    let mut rows = vec![HEAD.map(str::to_owned)];
    rows.extend(records.iter().map(cells));
    let mut widths = [0; HEAD.len()];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = format!("\n{krate}\n");
    for row in &rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(widths) {
            let _ = write!(line, "{cell:width$}  ");
        }
        text += line.trim_end();
        text.push('\n');
    }
    text
}

/// All columns as a Markdown table.
pub fn full<'a>(records: impl IntoIterator<Item = &'a Record>) -> String {
    markdown(records, &[0, 1, 2, 3, 4, 5, 6, 7])
}

/// The columns that fit a front page.
pub fn short<'a>(records: impl IntoIterator<Item = &'a Record>) -> String {
    markdown(records, &[0, 1, 2, 3, 4, 5])
}

fn markdown<'a>(records: impl IntoIterator<Item = &'a Record>, columns: &[usize]) -> String {
    let line = |cells: &[String]| {
        let cells: Vec<&str> = columns.iter().map(|at| cells[*at].as_str()).collect();
        format!("| {} |\n", cells.join(" | "))
    };
    let mut text = line(&HEAD.map(str::to_owned));
    let _ = writeln!(text, "|{}", "---|".repeat(columns.len()));
    for record in records {
        text += &line(&cells(record));
    }
    text
}

/// A figure as one reads it: no exponents, no more digits than were kept.
pub fn figure(value: f64) -> String {
    if value.abs() >= 1000.0 {
        let digits = format!("{value:.0}");
        let mut grouped = String::new();
        for (at, digit) in digits.chars().enumerate() {
            if at > 0 && (digits.len() - at) % 3 == 0 {
                grouped.push(',');
            }
            grouped.push(digit);
        }
        return grouped;
    }
    format!("{value}")
}

fn cells(record: &Record) -> [String; HEAD.len()] {
    let mut others: Vec<(f64, String)> = Vec::new();
    for (name, value) in &record.peers {
        others.push((*value, format!("{name} {}", figure(*value))));
    }
    others.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut peers: Vec<String> = others.into_iter().map(|(_, text)| text).collect();
    for (name, value) in &record.floors {
        peers.push(format!("floor: {name} {}", figure(*value)));
    }
    for (name, reason) in &record.disqualified {
        peers.push(format!("out: {name} ({reason})"));
    }
    let mark = if record.reaches_goal() { "" } else { " missed" };
    [
        record.axis.clone(),
        record.unit.clone(),
        figure(record.ours),
        record.vs.clone(),
        format!("{:.2}", record.ratio),
        format!("{}{mark}", figure(record.goal)),
        format!("{:.0} %", record.spread * 100.0),
        peers.join(", "),
    ]
}
