//! Snapshots, restores, jobs and the catalogue: one state machine for all dialects.
