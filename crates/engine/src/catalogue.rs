//! The catalogue: SQL tables of registered repositories, what is known of their snapshots, jobs and recoveries.
//!
//! It is a cache of what is in the repositories plus what is local. One set of statements for every database that sqlx's `Any`
//! driver reaches; SQLite is the one used here. Reads go through [`Catalogue::read`], everything else through
//! [`Catalogue::write`], which never lets a transaction begin with a read that it later has to upgrade.

mod audit;
mod credentials;
mod dialects;
mod jobs;
mod points;
mod policies;
mod pool;
mod recoveries;
mod repositories;
mod restores;
mod rollbacks;
mod snapshots;
mod volumes;

pub(crate) use jobs::{JobEnd, JobRow, NewJob};
pub(crate) use points::{HeadRow, PointRow, StoredPoint};
pub(crate) use policies::{PolicyRecord, PolicyRow};
pub(crate) use pool::{Catalogue, WriteTransaction};
pub(crate) use repositories::RepositoryRow;
pub(crate) use snapshots::SnapshotRow;
pub(crate) use volumes::ResourceRow;
