//! Writing documents.

mod op;

pub use op::{Update, VersionType, WriteKind, WriteOp, WriteOptions, WriteOutcome, WriteResult};
