-- Worker runs, the state of every element in them, and datasets. JSON is TEXT; times are epoch milliseconds.

-- The id is that of the run that executes it, where there is one (`run_id`).
CREATE TABLE worker_runs (
    id                   TEXT NOT NULL PRIMARY KEY,
    project_id           TEXT NOT NULL REFERENCES projects (id),
    corpus_id            TEXT,
    run_id               TEXT,
    summary              TEXT NOT NULL,
    worker               TEXT NOT NULL,
    mode                 TEXT NOT NULL,
    configuration        TEXT NOT NULL,
    worker_configuration TEXT NOT NULL,
    user_configuration   TEXT NOT NULL,
    secrets              TEXT NOT NULL,
    model_version_id     TEXT,
    selection            TEXT NOT NULL,
    max_attempts         BIGINT NOT NULL,
    lease_ms             BIGINT NOT NULL,
    created_at           BIGINT NOT NULL
);

CREATE INDEX worker_runs_project ON worker_runs (project_id, id);
CREATE INDEX worker_runs_corpus ON worker_runs (corpus_id, id);

-- How many activities of a worker run are in each state: changed with them, so that asking costs nothing. Writers of a worker
-- run wait for each other at this row. No lease runs out before `lease_floor` (null: none can).
CREATE TABLE activity_counts (
    worker_run_id TEXT NOT NULL PRIMARY KEY,
    queued        BIGINT NOT NULL,
    started       BIGINT NOT NULL,
    processed     BIGINT NOT NULL,
    error         BIGINT NOT NULL,
    lease_floor   BIGINT
);

-- `attempt` counts how often an element was handed out and never falls: whoever comes with an older one has lost its lease.
-- `lost` counts how often its worker lost it since it was queued or committed last.
CREATE TABLE activities (
    worker_run_id TEXT NOT NULL,
    element_id    TEXT NOT NULL,
    state         TEXT NOT NULL,
    attempt       BIGINT NOT NULL,
    lost          BIGINT NOT NULL,
    lease_until   BIGINT,
    holder        TEXT,
    error         TEXT,
    updated_at    BIGINT NOT NULL,
    PRIMARY KEY (worker_run_id, element_id)
);

-- Lists by state, and what is free, in the order of the elements.
CREATE INDEX activities_state ON activities (worker_run_id, state, element_id);
-- What each holder has, and what ran out, without reading the rows.
CREATE INDEX activities_held ON activities (worker_run_id, holder, lease_until, element_id) WHERE state = 'started';

-- `task_id` is the last build. `builder` is the server that makes the archive, until `built_until` at least.
CREATE TABLE datasets (
    id             TEXT NOT NULL PRIMARY KEY,
    corpus_id      TEXT NOT NULL,
    name           TEXT NOT NULL,
    description    TEXT NOT NULL,
    state          TEXT NOT NULL,
    error          TEXT,
    seed           BIGINT,
    task_id        TEXT,
    builder        TEXT,
    built_until    BIGINT,
    archive_key    TEXT,
    archive_size   BIGINT,
    archive_sha256 TEXT,
    archive_files  BIGINT,
    created_at     BIGINT NOT NULL,
    updated_at     BIGINT NOT NULL
);

CREATE UNIQUE INDEX datasets_name ON datasets (corpus_id, name);
CREATE INDEX datasets_corpus ON datasets (corpus_id, id);
CREATE UNIQUE INDEX datasets_task ON datasets (task_id) WHERE task_id IS NOT NULL;
CREATE INDEX datasets_building ON datasets (id) WHERE state = 'building';

-- The sets of a dataset in their order, with the number of their elements.
CREATE TABLE dataset_sets (
    dataset_id TEXT NOT NULL,
    name       TEXT NOT NULL,
    ord        BIGINT NOT NULL,
    elements   BIGINT NOT NULL,
    PRIMARY KEY (dataset_id, name)
);

CREATE TABLE dataset_elements (
    dataset_id TEXT NOT NULL,
    set_name   TEXT NOT NULL,
    element_id TEXT NOT NULL,
    PRIMARY KEY (dataset_id, set_name, element_id)
);

CREATE INDEX dataset_elements_element ON dataset_elements (element_id);

-- Files that clients of other systems send to a run one by one, saying neither what is in them nor when they have arrived.
CREATE TABLE loose_files (
    run_id TEXT NOT NULL,
    path   TEXT NOT NULL,
    size   BIGINT NOT NULL,
    PRIMARY KEY (run_id, path)
);
