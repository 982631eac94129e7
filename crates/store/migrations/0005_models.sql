-- Models and their versions: each version is one archive, verified before it is available. JSON is TEXT; times are epoch
-- milliseconds.

CREATE TABLE models (
    id          TEXT NOT NULL PRIMARY KEY,
    project_id  TEXT NOT NULL REFERENCES projects (id),
    name        TEXT NOT NULL,
    description TEXT NOT NULL,
    created_at  BIGINT NOT NULL
);

CREATE UNIQUE INDEX models_name ON models (project_id, name);

-- A version outlives the run, the checkpoint and the parent that it names. Until it is available, `tag` is what was asked
-- for, `size` and `files` are what was said, and `object_key` is where bytes arrive.
CREATE TABLE model_versions (
    id             TEXT NOT NULL PRIMARY KEY,
    model_id       TEXT NOT NULL REFERENCES models (id),
    project_id     TEXT NOT NULL,
    state          TEXT NOT NULL,
    reason         TEXT,
    tag            TEXT,
    move_tag       BIGINT NOT NULL,
    description    TEXT NOT NULL,
    config         TEXT NOT NULL,
    parent_id      TEXT,
    run_id         TEXT,
    job_id         TEXT,
    checkpoint_id  TEXT,
    source         TEXT,
    run_config     TEXT,
    tree_digest    TEXT,
    content_md5    TEXT,
    archive_sha256 TEXT,
    archive_md5    TEXT,
    archive_size   BIGINT,
    size           BIGINT,
    files          BIGINT,
    source_key     TEXT,
    object_key     TEXT NOT NULL,
    upload         TEXT,
    part_size      BIGINT,
    created_at     BIGINT NOT NULL,
    updated_at     BIGINT NOT NULL,
    available_at   BIGINT,
    user_id        TEXT NOT NULL
);

CREATE UNIQUE INDEX model_versions_tag ON model_versions (model_id, tag) WHERE state = 'available' AND tag IS NOT NULL;
CREATE UNIQUE INDEX model_versions_tree ON model_versions (model_id, tree_digest) WHERE state = 'available';
CREATE UNIQUE INDEX model_versions_source ON model_versions (model_id, source_key) WHERE source_key IS NOT NULL;
CREATE INDEX model_versions_content ON model_versions (model_id, content_md5) WHERE content_md5 IS NOT NULL;
-- Lists are walked by id, which is their order in time.
CREATE INDEX model_versions_model ON model_versions (model_id, id);
CREATE INDEX model_versions_project ON model_versions (project_id, id);
CREATE INDEX model_versions_run ON model_versions (run_id, id) WHERE run_id IS NOT NULL;
CREATE INDEX model_versions_checkpoint ON model_versions (checkpoint_id, id) WHERE checkpoint_id IS NOT NULL;
CREATE INDEX model_versions_parent ON model_versions (parent_id, id) WHERE parent_id IS NOT NULL;
CREATE INDEX model_versions_code ON model_versions (source) WHERE source IS NOT NULL;
CREATE INDEX model_versions_unfinished ON model_versions (updated_at) WHERE state <> 'available';

-- What is in the archive of an available version.
CREATE TABLE model_files (
    version_id TEXT NOT NULL,
    path       TEXT NOT NULL,
    kind       TEXT NOT NULL,
    size       BIGINT NOT NULL,
    sha256     TEXT NOT NULL,
    PRIMARY KEY (version_id, path)
);

-- Parts of an archive that have arrived.
CREATE TABLE model_parts (
    version_id TEXT NOT NULL,
    number     BIGINT NOT NULL,
    size       BIGINT NOT NULL,
    sha256     TEXT,
    md5        TEXT,
    etag       TEXT NOT NULL,
    PRIMARY KEY (version_id, number)
);
