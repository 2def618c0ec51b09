//! Progress bars with rate and time left.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use snapkeep_api::native::types::{Job, JobKind};

/// Shows how far a job is.
#[derive(Debug)]
pub struct Progress {
    bar: ProgressBar,
}

const WITH_TOTAL: &str =
    "{prefix} {bar:30} {percent:>3} %  {bytes}/{total_bytes}  {bytes_per_sec}  {eta} left  {msg}";
const WITHOUT_TOTAL: &str = "{prefix} {spinner} {elapsed}  {msg}";

impl Progress {
    /// A bar on standard error; indicatif hides it where that is no terminal.
    pub fn new(job: &Job, hidden: bool) -> Self {
        let verb = match job.kind {
            JobKind::Snapshot => "snapshot",
            JobKind::Restore => "restore",
            JobKind::Delete => "delete",
            JobKind::Clone => "clone",
            JobKind::Check => "check",
            JobKind::Prune => "prune",
            JobKind::VolumeSnapshot => "snapshot",
            JobKind::VolumeDelete => "delete",
            JobKind::VolumeApply => "roll back",
            JobKind::VolumeCreate => "create volume",
            JobKind::ImageCapture => "capture image",
        };
        let prefix = format!("{verb} {}", job.subject).trim_end().to_owned();
        Self {
            bar: new_bar(prefix, hidden),
        }
    }

    /// Shows the job as it is now.
    pub fn update(&self, job: &Job) {
        let progress = &job.progress;
        if progress.bytes_total > 0 && self.bar.length().is_none() {
            set_style(&self.bar, WITH_TOTAL);
        }
        if progress.bytes_total > 0 {
            self.bar
                .set_length(progress.bytes_total.max(progress.bytes_done));
            self.bar.set_position(progress.bytes_done);
        }
        let items = match progress.items_total {
            0 => String::new(),
            total => format!(" {}/{total}", progress.items_done),
        };
        self.bar.set_message(format!("{}{items}", progress.phase));
    }

    /// Says something in place of the phase.
    pub fn note(&self, text: &'static str) {
        self.bar.set_message(text);
    }

    /// Takes the bar away.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

/// Shows how far work in this process is.
#[derive(Debug)]
pub struct Transfer {
    bar: ProgressBar,
}

impl Transfer {
    /// A bar on standard error.
    pub fn new(what: &str, hidden: bool) -> Self {
        Self {
            bar: new_bar(what.to_owned(), hidden),
        }
    }

    /// Shows that so many bytes are done; a total of 0 is not known.
    pub fn update(&self, done: u64, total: u64) {
        if total == 0 {
            return;
        }
        if self.bar.length().is_none() {
            set_style(&self.bar, WITH_TOTAL);
        }
        self.bar.set_length(total.max(done));
        self.bar.set_position(done);
    }

    /// Takes the bar away.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

/// A bar that says what it is about from its first line on.
fn new_bar(prefix: String, hidden: bool) -> ProgressBar {
    let target = if hidden {
        ProgressDrawTarget::hidden()
    } else {
        ProgressDrawTarget::stderr_with_hz(10)
    };
    let style = ProgressStyle::with_template(WITHOUT_TOTAL)
        .unwrap_or_else(|_| ProgressStyle::default_spinner());
    let bar = ProgressBar::with_draw_target(None, target)
        .with_style(style)
        .with_prefix(prefix);
    bar.enable_steady_tick(Duration::from_millis(100));
    bar
}

fn set_style(bar: &ProgressBar, template: &str) {
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
}
