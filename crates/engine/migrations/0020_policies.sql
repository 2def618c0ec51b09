CREATE TABLE policies (
    -- <origin>/<name>, see PolicyKey
    policy TEXT NOT NULL PRIMARY KEY,
    -- the dialect
    origin TEXT NOT NULL,
    version BIGINT NOT NULL,
    -- JSON: Policy
    definition TEXT NOT NULL,
    -- JSON: what is due when; survives restarts so that missed runs are caught up
    timetable TEXT NOT NULL,
    -- JSON: counts and last outcomes
    record TEXT NOT NULL
);
CREATE INDEX policies_by_origin ON policies (origin);

-- The newest runs of each policy.
CREATE TABLE policy_runs (
    id TEXT NOT NULL PRIMARY KEY,
    policy TEXT NOT NULL,
    -- grows with each run of the policy
    number BIGINT NOT NULL,
    state TEXT NOT NULL,
    -- JSON: PolicyRun
    run TEXT NOT NULL
);
CREATE INDEX policy_runs_by_number ON policy_runs (policy, number);
CREATE INDEX policy_runs_by_state ON policy_runs (state);

-- What holds for all policies of a dialect; a row when it differs from the beginning.
CREATE TABLE policy_origins (
    origin TEXT NOT NULL PRIMARY KEY,
    -- 1 while its scheduler is stopped
    paused BIGINT NOT NULL,
    -- JSON: PolicyTotals
    totals TEXT NOT NULL
);

-- Copies of the lock files in the repositories, which are what counts.
CREATE TABLE snapshot_locks (
    vault TEXT NOT NULL,
    uuid TEXT NOT NULL,
    until_ms BIGINT NOT NULL,
    PRIMARY KEY (vault, uuid)
);
