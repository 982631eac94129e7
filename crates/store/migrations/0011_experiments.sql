-- Experiments: names for runs that belong together, with a place for what they make. Labels are JSON; times are epoch milliseconds.

CREATE TABLE experiments (
    id           TEXT NOT NULL PRIMARY KEY,
    project_id   TEXT NOT NULL REFERENCES projects (id),
    name         TEXT NOT NULL,
    artifact_uri TEXT NOT NULL,
    labels       TEXT NOT NULL,
    user_id      TEXT NOT NULL,
    created_at   BIGINT NOT NULL,
    updated_at   BIGINT NOT NULL
);

CREATE UNIQUE INDEX experiments_name ON experiments (project_id, name);
