-- Runs, their jobs and their events. JSON is TEXT; times are epoch milliseconds; flags are 0 or 1.

CREATE TABLE runs (
    id                  TEXT NOT NULL PRIMARY KEY,
    project_id          TEXT NOT NULL REFERENCES projects (id),
    user_id             TEXT NOT NULL,
    created_at          BIGINT NOT NULL,
    name                TEXT NOT NULL,
    version             TEXT NOT NULL,
    kind                TEXT NOT NULL,
    blueprint_id        TEXT,
    task_type           TEXT,
    config              TEXT NOT NULL,
    resources           TEXT NOT NULL,
    spec                TEXT NOT NULL,
    source              TEXT,
    executor            TEXT NOT NULL,
    priority            BIGINT NOT NULL,
    labels              TEXT NOT NULL,
    notes               TEXT,
    progress            TEXT NOT NULL,
    progress_updated_at BIGINT,
    status              TEXT NOT NULL,
    status_updated_at   BIGINT NOT NULL,
    active              BIGINT NOT NULL,
    epoch               BIGINT NOT NULL,
    has_job             BIGINT NOT NULL,
    stop_requested_at   BIGINT,
    stop_deadline       BIGINT,
    retries_left        BIGINT NOT NULL,
    retry_on            TEXT NOT NULL,
    exit                TEXT,
    sequence            BIGINT NOT NULL,
    driver              TEXT
);

-- Lists are walked by id, which is their order in time: an id begins with the time at which the run was made. A name is in
-- an index to be searched there, where a thousand of them are read at once, and not in the rows.
CREATE INDEX runs_name ON runs (id, name);
CREATE INDEX runs_project ON runs (project_id, id, name);
CREATE INDEX runs_status ON runs (status, id);
CREATE INDEX runs_project_status ON runs (project_id, status, id);
CREATE INDEX runs_blueprint ON runs (blueprint_id, id);
CREATE INDEX runs_source ON runs (source) WHERE source IS NOT NULL;
CREATE INDEX runs_active ON runs (driver, id) WHERE active = 1;

CREATE TABLE run_labels (
    run_id TEXT NOT NULL,
    key    TEXT NOT NULL,
    value  TEXT NOT NULL,
    PRIMARY KEY (run_id, key)
);

CREATE INDEX run_labels_value ON run_labels (key, value, run_id);
CREATE INDEX run_labels_key ON run_labels (key, run_id);

CREATE TABLE jobs (
    id          TEXT NOT NULL PRIMARY KEY,
    run_id      TEXT NOT NULL,
    epoch       BIGINT NOT NULL,
    executor    TEXT NOT NULL,
    created_at  BIGINT NOT NULL,
    started_at  BIGINT,
    seen_at     BIGINT,
    ended_at    BIGINT,
    host        TEXT,
    exit        TEXT,
    logs_len    BIGINT NOT NULL DEFAULT 0,
    records_len BIGINT NOT NULL DEFAULT 0,
    system_len  BIGINT NOT NULL DEFAULT 0,
    UNIQUE (run_id, epoch)
);

CREATE TABLE events (
    run_id     TEXT NOT NULL,
    sequence   BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    status     TEXT NOT NULL,
    details    TEXT NOT NULL,
    PRIMARY KEY (run_id, sequence)
);

-- Servers that share this database; each drives the runs that carry its id.
CREATE TABLE servers (
    id    TEXT NOT NULL PRIMARY KEY,
    until BIGINT NOT NULL
);

-- Packed folders of code, by the SHA-256 of their bytes.
CREATE TABLE sources (
    digest     TEXT NOT NULL PRIMARY KEY,
    size       BIGINT NOT NULL,
    created_at BIGINT NOT NULL
);

-- Files whose rows are gone: noted in the transaction that deletes the rows, so that a crash leaves nothing behind.
-- kind is `object` (key: object key) or the word of an executor (key: job id).
CREATE TABLE garbage (
    kind       TEXT NOT NULL,
    key        TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (kind, key)
);
