//! Which blob lies where: an index over all index files of a repository.
//!
//! It is made of sorted *runs*, each covering some index files whole. A run keeps its entries in pages of 4 KiB, on disk where there
//! is a cache folder; in memory are only the first key of each page and a filter, together less than 2 bytes an entry.
//! A lookup asks each run's filter (wrong for 1 of 250 blobs that are not there), then reads one page.
//!
//! Everything on disk is a cache: bound to the repository's id and to the ids of the index files it covers, protected by checksums,
//! and dropped and read anew from the repository when anything about it is wrong.

mod builder;
mod entry;
mod index;
mod merge;
mod meta;
mod page;
mod run;
#[cfg(test)]
mod tests;
mod view;

pub use entry::{BlobLocation, IndexedBlob};
pub use index::BlobIndex;
pub use run::RunDamage;
pub use view::IndexView;

pub(crate) use builder::RunBuilder;
