//! Repository engine: reads and writes restic repositories of format version 2.
