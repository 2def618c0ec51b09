//! From a JSON value to the bytes of an answer: filtered, in the format asked for, readable where asked.

mod encode;
mod filter_path;
mod human;
mod table;

pub use encode::{Format, encode};
pub use filter_path::filter;
pub use human::Readable;
pub use table::{Cell, Column, Table};
