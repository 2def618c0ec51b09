//! How the demo tells what it does.

use std::io::IsTerminal;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::output::print_line;

/// Numbers the steps and prints.
#[derive(Debug)]
pub struct Story {
    step: AtomicUsize,
    colour: bool,
}

impl Story {
    /// The beginning; colours only on a terminal.
    pub fn new() -> Self {
        Self {
            step: AtomicUsize::new(0),
            colour: std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none(),
        }
    }

    /// A new step.
    pub fn step(&self, title: &str) {
        let number = self.step.fetch_add(1, Ordering::Relaxed) + 1;
        self.say(&format!(
            "\n{}",
            self.paint("1", &format!("{number}. {title}"))
        ));
    }

    /// A command that is run now, as the reader could type it.
    pub fn command(&self, line: &str) {
        self.say(&format!("   {}", self.paint("36", &format!("$ {line}"))));
    }

    /// The essential of an answer.
    pub fn answer(&self, text: &str) {
        for line in text.lines() {
            self.say(&format!("     {line}"));
        }
    }

    /// Something that is now proved.
    pub fn proved(&self, text: &str) {
        self.say(&format!("   {} {text}", self.paint("32", "✓")));
    }

    /// Plain text. Whether anybody reads it is not the story's concern.
    pub fn say(&self, text: &str) {
        let _ = print_line(text);
    }

    fn paint(&self, code: &str, text: &str) -> String {
        if self.colour {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }
}
