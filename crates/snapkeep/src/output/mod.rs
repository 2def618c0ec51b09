//! What commands print: tables, lines and progress bars for people, JSON for programs.

mod format;
mod print;
mod progress;

pub use format::{bytes, duration_ms, program, time};
pub use print::{Output, print_line, table};
pub use progress::Transfer;
