-- Who may do what. No secret stands here in the clear: see the column `secret`.
CREATE TABLE credentials (
    name TEXT NOT NULL PRIMARY KEY,
    -- password, api_key, access_key
    kind TEXT NOT NULL,
    -- What the secret is presented with: the name, the id of the API key, the access key.
    key_id TEXT NOT NULL UNIQUE,
    -- password: argon2id; api_key: SHA-256; access_key: sealed with the server key
    secret TEXT NOT NULL,
    -- viewer, operator, admin
    role TEXT NOT NULL,
    -- JSON: Limits
    limits TEXT NOT NULL,
    created_ms BIGINT NOT NULL,
    rotated_ms BIGINT NOT NULL
);

-- Tokens that the server issued. They go with their credential, and when its secret is rotated.
CREATE TABLE tokens (
    -- SHA-256, hexadecimal
    hash TEXT NOT NULL PRIMARY KEY,
    credential TEXT NOT NULL,
    -- The only project it is good for; NULL: those of the credential.
    project TEXT,
    expires_ms BIGINT NOT NULL
);
CREATE INDEX tokens_by_credential ON tokens (credential);

-- Who did what. The oldest rows go when there are too many.
CREATE TABLE audit (
    id BIGINT NOT NULL PRIMARY KEY,
    at_ms BIGINT NOT NULL,
    principal TEXT NOT NULL,
    -- JSON: AuditRecord
    record TEXT NOT NULL
);
CREATE INDEX audit_by_time ON audit (at_ms);
