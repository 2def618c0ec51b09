-- Rollbacks that were begun and are not done: until then their volumes are neither started nor snapshotted. A row is durable before
-- the first block of its volume is written.
CREATE TABLE volume_rollbacks (
    -- vol-…
    volume TEXT NOT NULL PRIMARY KEY,
    -- the job that began it; all rows of one job are brought to an end together
    job    TEXT NOT NULL,
    -- JSON: RollbackRecord
    record TEXT NOT NULL
);
