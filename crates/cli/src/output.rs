//! Answers go to standard output, as text or as one JSON document; everything else goes to standard error.

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use comfy_table::{ContentArrangement, Table, presets};
use serde::Serialize;
use serde_json::json;

use crate::failure::Failure;

/// How this run talks.
#[derive(Clone, Debug)]
pub(crate) struct Output {
    json: bool,
    quiet: bool,
    /// Whether the answer was given. There is one: a program that reads it must not find a second document.
    answered: Arc<AtomicBool>,
}

impl Output {
    pub(crate) fn new(json: bool, quiet: bool) -> Self {
        Self {
            json,
            quiet,
            answered: Arc::default(),
        }
    }

    /// Whether progress may move on a screen; otherwise it is plain lines, or nothing.
    pub(crate) fn is_live(&self) -> bool {
        !self.quiet && io::stderr().is_terminal()
    }

    pub(crate) fn is_json(&self) -> bool {
        self.json
    }

    /// The answer: `value` as JSON, or `text` for people. What comes after the first one is not written.
    pub(crate) fn answer(&self, value: &impl Serialize, text: impl FnOnce() -> String) {
        if self.answered.swap(true, Ordering::Relaxed) {
            return;
        }
        let mut answer = if self.json {
            serde_json::to_string_pretty(value).expect("answers are maps with text keys")
        } else {
            text()
        };
        if !answer.is_empty() && !answer.ends_with('\n') {
            answer.push('\n');
        }
        // A reader that has seen enough and closed the pipe is no failure.
        let _ = io::stdout().write_all(answer.as_bytes());
    }

    /// A word on the way, for people.
    pub(crate) fn note(&self, text: impl std::fmt::Display) {
        if !self.quiet {
            let _ = writeln!(io::stderr(), "{text}");
        }
    }

    /// What went wrong, for people.
    pub(crate) fn complain(&self, text: impl std::fmt::Display) {
        let _ = writeln!(io::stderr(), "brolly: {text}");
    }

    /// Tells a failure and gives its exit code.
    pub(crate) fn failure(&self, failure: &Failure) -> ExitCode {
        if self.json {
            let mut answer = failure.details.clone();
            answer.insert("ok".to_owned(), json!(false));
            let error = json!({"code": failure.code, "message": failure.message});
            answer.insert("error".to_owned(), error);
            self.answer(&answer, String::new);
        } else {
            self.complain(&failure.message);
        }
        failure.exit_code()
    }
}

/// A number of things, in words.
pub(crate) fn count(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

/// A table for people.
pub(crate) fn table(headers: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    table
        .load_style(presets::ASCII_MARKDOWN)
        .set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(headers.to_vec());
    for row in rows {
        table.add_row(row);
    }
    table.to_string()
}
