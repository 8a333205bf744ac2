//! Progress of a run: a bar on a terminal, plain lines elsewhere.

use std::sync::Arc;
use std::time::Duration;

use brolly_merge_plan::Event;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::output::Output;

/// Shows events as they come; clones show the same bar.
#[derive(Clone, Debug)]
pub(crate) struct Progress {
    bar: Arc<ProgressBar>,
    output: Output,
}

impl Progress {
    /// Progress of `steps` steps under a title.
    pub(crate) fn new(output: &Output, title: &str, steps: usize) -> Self {
        let bar = ProgressBar::with_draw_target(Some(steps as u64), ProgressDrawTarget::hidden());
        if output.is_live() {
            let style = ProgressStyle::with_template(
                "{prefix:>10} {bar:32} {pos}/{len} {elapsed} {wide_msg}",
            )
            .expect("the template is well formed");
            bar.set_draw_target(ProgressDrawTarget::stderr());
            bar.set_style(style);
            bar.enable_steady_tick(Duration::from_millis(200));
        } else {
            output.note(title);
        }
        bar.set_prefix(title.to_owned());
        Self {
            bar: Arc::new(bar),
            output: output.clone(),
        }
    }

    /// One event of a run. Only what ends something counts as a step.
    pub(crate) fn show(&self, event: &Event<'_>) {
        match event {
            Event::GateStarted { item, gate, .. } => {
                self.bar.set_message(format!("{item}: {gate}"))
            }
            Event::GateRetried {
                item,
                gate,
                attempt,
                ..
            } => self.line(&format!("{item}: {gate}, attempt {attempt}")),
            Event::ItemFinished { item, status, .. } => self.step(&format!("{item}: {status}")),
            Event::MergeFinished { item, status, .. } => self.step(&format!("{item}: {status}")),
            Event::Pushed { branch, .. } => self.line(&format!("pushed {branch}")),
            _ => {}
        }
    }

    pub(crate) fn finish(self) {
        self.bar.finish_and_clear();
    }

    fn step(&self, text: &str) {
        self.bar.inc(1);
        self.line(text);
    }

    fn line(&self, text: &str) {
        if self.output.is_live() {
            self.bar.set_message(text.to_owned());
        } else {
            self.output.note(format_args!("  {text}"));
        }
    }
}
