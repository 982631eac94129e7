-- Secrets of projects, and access keys. What is sealed is encrypted with a key that is never in the database.

CREATE TABLE secrets (
    project_id TEXT NOT NULL REFERENCES projects (id),
    name       TEXT NOT NULL,
    ciphertext BLOB NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (project_id, name)
);

-- A token with an access key: signatures need the secret itself, so a hash of it will not do.
ALTER TABLE tokens ADD COLUMN access_key_id TEXT;
ALTER TABLE tokens ADD COLUMN sealed_secret BLOB;

CREATE UNIQUE INDEX tokens_access_key ON tokens (access_key_id) WHERE access_key_id IS NOT NULL;
