-- What a dialect keeps for itself: the bucket that a client chose, whether a function is switched on.
CREATE TABLE dialect_settings (
    dialect TEXT NOT NULL,
    name    TEXT NOT NULL,
    value   TEXT NOT NULL, -- JSON
    PRIMARY KEY (dialect, name)
);
