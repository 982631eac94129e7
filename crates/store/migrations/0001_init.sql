-- Projects, tokens, blueprints, idempotency keys. JSON is TEXT; times are epoch milliseconds.

CREATE TABLE projects (
    id          TEXT NOT NULL PRIMARY KEY,
    name        TEXT NOT NULL UNIQUE,
    description TEXT NOT NULL,
    created_at  BIGINT NOT NULL
);

-- run_id has no foreign key: runs come later, and their deletion takes their tokens along.
CREATE TABLE tokens (
    id         TEXT NOT NULL PRIMARY KEY,
    name       TEXT NOT NULL,
    scope      TEXT NOT NULL,
    project_id TEXT REFERENCES projects (id),
    run_id     TEXT,
    hash       TEXT NOT NULL UNIQUE,
    created_at BIGINT NOT NULL,
    expires_at BIGINT,
    revoked_at BIGINT
);

CREATE INDEX tokens_project ON tokens (project_id);
CREATE INDEX tokens_run ON tokens (run_id) WHERE run_id IS NOT NULL;
CREATE INDEX tokens_expires ON tokens (expires_at) WHERE expires_at IS NOT NULL;
CREATE INDEX tokens_revoked ON tokens (revoked_at) WHERE revoked_at IS NOT NULL;

-- A deleted blueprint stays for the runs that were made from it; its name and version are free again.
CREATE TABLE blueprints (
    id            TEXT NOT NULL PRIMARY KEY,
    project_id    TEXT NOT NULL REFERENCES projects (id),
    name          TEXT NOT NULL,
    version       TEXT NOT NULL,
    description   TEXT NOT NULL,
    image         TEXT,
    command       TEXT NOT NULL,
    config_schema TEXT NOT NULL,
    task_types    TEXT NOT NULL,
    resources     TEXT,
    source        TEXT,
    requirements  TEXT NOT NULL,
    env           TEXT NOT NULL,
    created_at    BIGINT NOT NULL,
    user_id       TEXT NOT NULL,
    deleted_at    BIGINT
);

CREATE UNIQUE INDEX blueprints_name ON blueprints (project_id, name, version) WHERE deleted_at IS NULL;
CREATE INDEX blueprints_created ON blueprints (created_at, id);
CREATE INDEX blueprints_source ON blueprints (source) WHERE source IS NOT NULL;

CREATE TABLE idempotency (
    scope        TEXT NOT NULL,
    key          TEXT NOT NULL,
    request_hash TEXT NOT NULL,
    resource_id  TEXT NOT NULL,
    created_at   BIGINT NOT NULL,
    PRIMARY KEY (scope, key)
);

CREATE INDEX idempotency_created ON idempotency (created_at);
