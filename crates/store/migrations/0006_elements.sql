-- Corpora, their elements and what was found about them. JSON is TEXT; times are epoch milliseconds; flags are 0 or 1.

-- A corpus with `deleted_at` is on its way out: nobody sees it, and its rows go in batches.
CREATE TABLE corpora (
    id          TEXT NOT NULL PRIMARY KEY,
    project_id  TEXT NOT NULL REFERENCES projects (id),
    name        TEXT NOT NULL,
    description TEXT NOT NULL,
    created_at  BIGINT NOT NULL,
    deleted_at  BIGINT
);

CREATE UNIQUE INDEX corpora_name ON corpora (project_id, name) WHERE deleted_at IS NULL;
CREATE INDEX corpora_deleted ON corpora (id) WHERE deleted_at IS NOT NULL;

CREATE TABLE element_types (
    id           TEXT NOT NULL PRIMARY KEY,
    corpus_id    TEXT NOT NULL,
    slug         TEXT NOT NULL,
    display_name TEXT NOT NULL,
    folder       BIGINT NOT NULL
);

CREATE UNIQUE INDEX element_types_slug ON element_types (corpus_id, slug);

CREATE TABLE images (
    id         TEXT NOT NULL PRIMARY KEY,
    project_id TEXT NOT NULL,
    url        TEXT NOT NULL,
    width      BIGINT,
    height     BIGINT,
    s3_url     TEXT,
    max_width  BIGINT,
    max_height BIGINT,
    created_at BIGINT NOT NULL
);

CREATE UNIQUE INDEX images_url ON images (project_id, url);
CREATE INDEX images_project ON images (project_id, id);

-- `root_element` is the element under work when a worker run made this one. `top_level`: it has no parent.
CREATE TABLE elements (
    id             TEXT NOT NULL PRIMARY KEY,
    corpus_id      TEXT NOT NULL,
    type           TEXT NOT NULL,
    name           TEXT NOT NULL,
    payload        TEXT,
    image_id       TEXT,
    polygon        TEXT,
    rotation_angle BIGINT NOT NULL,
    mirrored       BIGINT NOT NULL,
    confidence     DOUBLE PRECISION,
    worker_run_id  TEXT,
    root_element   TEXT,
    top_level      BIGINT NOT NULL,
    created_at     BIGINT NOT NULL
);

-- Lists are walked by id. A name is in these indexes to be searched there, and not in the rows.
CREATE INDEX elements_corpus ON elements (corpus_id, id, name);
CREATE INDEX elements_type ON elements (corpus_id, type, id, name);
CREATE INDEX elements_name ON elements (corpus_id, name, id);
CREATE INDEX elements_top ON elements (corpus_id, id) WHERE top_level = 1;
CREATE INDEX elements_image ON elements (image_id) WHERE image_id IS NOT NULL;
CREATE INDEX elements_worker_run ON elements (worker_run_id, id) WHERE worker_run_id IS NOT NULL;
CREATE INDEX elements_root ON elements (root_element, worker_run_id) WHERE root_element IS NOT NULL;

CREATE TABLE element_parents (
    child_id  TEXT NOT NULL,
    parent_id TEXT NOT NULL,
    ord       BIGINT NOT NULL,
    PRIMARY KEY (child_id, parent_id)
);

CREATE INDEX element_parents_children ON element_parents (parent_id, ord, child_id);

-- Of every result: `worker_run_id` is who wrote it, NULL a person; `root_element` is the element under work, where that is
-- another one than the element that the result is about.

CREATE TABLE transcriptions (
    id            TEXT NOT NULL PRIMARY KEY,
    element_id    TEXT NOT NULL,
    text          TEXT NOT NULL,
    confidence    DOUBLE PRECISION,
    orientation   TEXT NOT NULL,
    worker_run_id TEXT,
    root_element  TEXT,
    created_at    BIGINT NOT NULL
);

CREATE INDEX transcriptions_element ON transcriptions (element_id, id);
CREATE INDEX transcriptions_root ON transcriptions (root_element, worker_run_id) WHERE root_element IS NOT NULL;

CREATE TABLE ml_classes (
    id        TEXT NOT NULL PRIMARY KEY,
    corpus_id TEXT NOT NULL,
    name      TEXT NOT NULL
);

CREATE UNIQUE INDEX ml_classes_name ON ml_classes (corpus_id, name);

CREATE TABLE classifications (
    id              TEXT NOT NULL PRIMARY KEY,
    element_id      TEXT NOT NULL,
    class_id        TEXT NOT NULL,
    confidence      DOUBLE PRECISION NOT NULL,
    high_confidence BIGINT NOT NULL,
    state           TEXT NOT NULL,
    worker_run_id   TEXT,
    root_element    TEXT,
    created_at      BIGINT NOT NULL
);

-- An element has a class once from each worker run, and once from people.
CREATE UNIQUE INDEX classifications_once ON classifications (element_id, class_id, (coalesce(worker_run_id, '')));
CREATE INDEX classifications_root ON classifications (root_element, worker_run_id) WHERE root_element IS NOT NULL;

CREATE TABLE entity_types (
    id        TEXT NOT NULL PRIMARY KEY,
    corpus_id TEXT NOT NULL,
    name      TEXT NOT NULL,
    color     TEXT
);

CREATE UNIQUE INDEX entity_types_name ON entity_types (corpus_id, name);

CREATE TABLE entities (
    id            TEXT NOT NULL PRIMARY KEY,
    corpus_id     TEXT NOT NULL,
    type_id       TEXT NOT NULL,
    name          TEXT NOT NULL,
    metas         TEXT,
    validated     BIGINT NOT NULL,
    worker_run_id TEXT,
    root_element  TEXT,
    created_at    BIGINT NOT NULL
);

CREATE INDEX entities_corpus ON entities (corpus_id, id);
CREATE INDEX entities_type ON entities (type_id);
CREATE INDEX entities_root ON entities (root_element, worker_run_id) WHERE root_element IS NOT NULL;

CREATE TABLE transcription_entities (
    id               TEXT NOT NULL PRIMARY KEY,
    transcription_id TEXT NOT NULL,
    entity_id        TEXT NOT NULL,
    char_offset      BIGINT NOT NULL,
    char_length      BIGINT NOT NULL,
    confidence       DOUBLE PRECISION,
    worker_run_id    TEXT,
    root_element     TEXT,
    created_at       BIGINT NOT NULL
);

CREATE INDEX transcription_entities_place ON transcription_entities (transcription_id, char_offset, id);
CREATE INDEX transcription_entities_entity ON transcription_entities (entity_id);
CREATE INDEX transcription_entities_root ON transcription_entities (root_element, worker_run_id)
    WHERE root_element IS NOT NULL;

CREATE TABLE metadata (
    id            TEXT NOT NULL PRIMARY KEY,
    element_id    TEXT NOT NULL,
    type          TEXT NOT NULL,
    name          TEXT NOT NULL,
    value         TEXT NOT NULL,
    entity_id     TEXT,
    worker_run_id TEXT,
    root_element  TEXT,
    created_at    BIGINT NOT NULL
);

CREATE INDEX metadata_element ON metadata (element_id, id);
CREATE INDEX metadata_entity ON metadata (entity_id) WHERE entity_id IS NOT NULL;
CREATE INDEX metadata_root ON metadata (root_element, worker_run_id) WHERE root_element IS NOT NULL;
