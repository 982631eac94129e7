-- Buckets of clients that speak OSS, and their objects. JSON is TEXT; times are epoch milliseconds; flags are 0 or 1.

CREATE TABLE oss_buckets (
    id         TEXT NOT NULL PRIMARY KEY,
    project_id TEXT NOT NULL REFERENCES projects (id),
    name       TEXT NOT NULL,
    created_at BIGINT NOT NULL
);

CREATE UNIQUE INDEX oss_buckets_name ON oss_buckets (name);
CREATE INDEX oss_buckets_project ON oss_buckets (project_id, name);

-- An object that is there (`current`), or one that is on its way. `source`: who was told where to send it; without one it
-- is an upload in parts of a client. Until it is current, digests and sizes are what was said.
CREATE TABLE oss_objects (
    id           TEXT NOT NULL PRIMARY KEY,
    bucket_id    TEXT NOT NULL,
    key          TEXT NOT NULL,
    current      BIGINT NOT NULL,
    type         TEXT NOT NULL,
    source       TEXT,
    size         BIGINT NOT NULL,
    etag         TEXT NOT NULL,
    sha256       TEXT,
    crc64        BIGINT,
    headers      TEXT NOT NULL,
    modified_at  BIGINT NOT NULL
);

-- Lists are ranges of this one.
CREATE UNIQUE INDEX oss_objects_key ON oss_objects (bucket_id, key) WHERE current = 1;
CREATE INDEX oss_objects_upload ON oss_objects (bucket_id, key, id) WHERE current = 0;
CREATE UNIQUE INDEX oss_objects_source ON oss_objects (bucket_id, source, key) WHERE current = 0 AND source IS NOT NULL;
CREATE INDEX oss_objects_unfinished ON oss_objects (modified_at) WHERE current = 0;

-- Where the bytes are: an object is its pieces, one after the other, by number.
CREATE TABLE oss_pieces (
    object_id   TEXT NOT NULL,
    number      BIGINT NOT NULL,
    object_key  TEXT NOT NULL,
    size        BIGINT NOT NULL,
    etag        TEXT NOT NULL,
    crc64       BIGINT,
    modified_at BIGINT NOT NULL,
    PRIMARY KEY (object_id, number)
);
