-- Times are milliseconds since 1970 (BIGINT), ids and JSON are TEXT, so that SQLite and PostgreSQL take the same statements.

CREATE TABLE repositories (
    name TEXT NOT NULL PRIMARY KEY,
    kind TEXT NOT NULL,
    -- JSON object, as the client gave it
    settings TEXT NOT NULL,
    -- id of the restic repository, once it has been opened
    vault TEXT
);

-- What /snapkeep.json of each snapshot says, and the snapshots that failed and therefore are in no repository.
CREATE TABLE snapshots (
    vault TEXT NOT NULL,
    uuid TEXT NOT NULL,
    name TEXT NOT NULL,
    -- ids of the restic snapshot and of its root tree; NULL for a failed one
    restic_id TEXT,
    tree_id TEXT,
    start_ms BIGINT NOT NULL,
    -- JSON: SnapshotInfo
    info TEXT NOT NULL,
    -- JSON: the whole manifest; NULL for a failed or unreadable one
    manifest TEXT,
    PRIMARY KEY (vault, uuid)
);
CREATE UNIQUE INDEX snapshots_by_name ON snapshots (vault, name);
CREATE INDEX snapshots_by_start ON snapshots (vault, start_ms);

CREATE TABLE jobs (
    id TEXT NOT NULL PRIMARY KEY,
    kind TEXT NOT NULL,
    repository TEXT NOT NULL,
    subject TEXT NOT NULL,
    state TEXT NOT NULL,
    created_ms BIGINT NOT NULL,
    started_ms BIGINT,
    finished_ms BIGINT,
    -- the process that works on it, how often it was begun, and until when its word counts
    owner TEXT NOT NULL,
    attempt BIGINT NOT NULL,
    lease_until_ms BIGINT NOT NULL,
    -- JSON: what is needed to finish or undo the work after a crash
    input TEXT NOT NULL,
    -- JSON: JobProgress
    progress TEXT NOT NULL,
    error TEXT,
    -- JSON
    result TEXT
);
CREATE INDEX jobs_by_creation ON jobs (created_ms);
CREATE INDEX jobs_by_state ON jobs (state);

-- The latest recovery of each index.
CREATE TABLE recoveries (
    index_name TEXT NOT NULL PRIMARY KEY,
    restore_uuid TEXT NOT NULL,
    -- JSON: list of ShardRecovery
    shards TEXT NOT NULL
);
