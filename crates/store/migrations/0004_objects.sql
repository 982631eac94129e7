-- Checkpoints and artifacts: sets of files whose bytes are objects. JSON is TEXT; times are epoch milliseconds.

-- A deleted set stays, without files, until its run goes: a runner that starts again must not upload it once more.
CREATE TABLE file_sets (
    id                TEXT NOT NULL PRIMARY KEY,
    kind              TEXT NOT NULL,
    run_id            TEXT NOT NULL,
    project_id        TEXT NOT NULL,
    job_id            TEXT NOT NULL,
    epoch             BIGINT NOT NULL,
    source_key        TEXT NOT NULL,
    name              TEXT,
    type              TEXT,
    global_step       BIGINT,
    path              TEXT,
    status            TEXT NOT NULL,
    status_updated_at BIGINT NOT NULL,
    reason            TEXT,
    created_at        BIGINT NOT NULL,
    size              BIGINT NOT NULL,
    files             BIGINT NOT NULL,
    key_prefix        TEXT NOT NULL
);

CREATE UNIQUE INDEX file_sets_source ON file_sets (run_id, kind, source_key);
CREATE INDEX file_sets_created ON file_sets (kind, created_at, id);
CREATE INDEX file_sets_run ON file_sets (run_id, kind, created_at, id);
CREATE INDEX file_sets_project ON file_sets (project_id, kind, created_at, id);
CREATE INDEX file_sets_open ON file_sets (run_id, epoch) WHERE status = 'incomplete' AND reason IS NULL;

-- `parts` is there for files that go in parts: MD5 and, once it is known, ETag of each. `upload` holds them together.
CREATE TABLE files (
    file_set_id TEXT NOT NULL,
    path        TEXT NOT NULL,
    size        BIGINT NOT NULL,
    sha256      TEXT NOT NULL,
    md5         TEXT,
    parts       TEXT,
    upload      TEXT,
    PRIMARY KEY (file_set_id, path)
);

CREATE INDEX files_upload ON files (file_set_id) WHERE upload IS NOT NULL;
