-- The latest restore of each snapshot.
CREATE TABLE restores (
    vault TEXT NOT NULL,
    snapshot_uuid TEXT NOT NULL,
    uuid TEXT NOT NULL,
    -- JSON: RestoreRun
    run TEXT NOT NULL,
    PRIMARY KEY (vault, snapshot_uuid)
);
CREATE INDEX restores_by_uuid ON restores (uuid);
