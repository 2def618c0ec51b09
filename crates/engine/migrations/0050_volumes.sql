-- Volumes and instances that were added, and the ids of those that were found or configured under other names.
CREATE TABLE volume_resources (
    -- vol-… or i-…
    id     TEXT NOT NULL PRIMARY KEY,
    -- volume or instance
    kind   TEXT NOT NULL,
    -- found, added or configured
    origin TEXT NOT NULL,
    -- the file's or configured name that the id belongs to; of an added one its name
    name   TEXT NOT NULL,
    -- JSON: how it was added; NULL for the others
    spec   TEXT
);
CREATE INDEX volume_resources_by_name ON volume_resources (kind, origin, name);

-- Points: what /snapkeep.json says of each, with names that were changed later; and those that could not be made or are gone,
-- which no repository knows.
CREATE TABLE points (
    vault       TEXT NOT NULL,
    -- of the snapshot
    uuid        TEXT NOT NULL,
    -- ss-…
    id          TEXT NOT NULL,
    resource    TEXT NOT NULL,
    name        TEXT NOT NULL,
    description TEXT NOT NULL,
    -- available, suspended, deleted or ceased
    status      TEXT NOT NULL,
    status_ms   BIGINT NOT NULL,
    -- JSON: PointRecord
    record      TEXT NOT NULL,
    PRIMARY KEY (vault, uuid)
);
CREATE INDEX points_by_id ON points (id);
CREATE INDEX points_by_resource ON points (resource);

-- The point that the next increment of a volume or instance hangs on, where it is not simply the youngest.
CREATE TABLE point_heads (
    vault    TEXT NOT NULL,
    resource TEXT NOT NULL,
    -- uuid of the snapshot
    uuid     TEXT NOT NULL,
    -- when that was so
    set_ms   BIGINT NOT NULL,
    PRIMARY KEY (vault, resource)
);

-- Ids of what a job makes, removes or writes to. JSON: list.
ALTER TABLE jobs ADD COLUMN resources TEXT NOT NULL DEFAULT '[]';
