//! `_cat` tables of indices, shards and the cluster.

mod aliases;
mod cluster;
mod indices;
pub mod routes;
mod shards;
mod time;
