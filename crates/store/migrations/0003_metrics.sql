-- What jobs report: points of metrics in packs, output in chunks. Times are epoch milliseconds.

-- One row per run with metrics: counts its points, which are numbered through, and its series.
CREATE TABLE metric_runs (
    run_id      TEXT NOT NULL PRIMARY KEY,
    last_seq    BIGINT NOT NULL,
    last_series BIGINT NOT NULL
);

-- One series per tag and epoch. Its newest points, at least one, are the tail: small writes only rewrite this row.
-- `last` is the newest point, packed like the others, so that NaN survives.
CREATE TABLE metric_series (
    run_id         TEXT NOT NULL,
    series         BIGINT NOT NULL,
    tag            TEXT NOT NULL,
    epoch          BIGINT NOT NULL,
    job_id         TEXT NOT NULL,
    min_step       BIGINT NOT NULL,
    tail_first_seq BIGINT NOT NULL,
    tail_last_seq  BIGINT NOT NULL,
    tail_min_step  BIGINT NOT NULL,
    tail_max_step  BIGINT NOT NULL,
    tail_min_at    BIGINT NOT NULL,
    tail_max_at    BIGINT NOT NULL,
    last           BLOB NOT NULL,
    tail_seqs      BLOB NOT NULL,
    tail           BLOB NOT NULL,
    PRIMARY KEY (run_id, series),
    UNIQUE (run_id, tag, epoch)
);

-- The points before the tail, some hundreds to a pack; a pack never changes.
CREATE TABLE metric_packs (
    run_id    TEXT NOT NULL,
    series    BIGINT NOT NULL,
    first_seq BIGINT NOT NULL,
    last_seq  BIGINT NOT NULL,
    min_step  BIGINT NOT NULL,
    max_step  BIGINT NOT NULL,
    min_at    BIGINT NOT NULL,
    max_at    BIGINT NOT NULL,
    seqs      BLOB NOT NULL,
    data      BLOB NOT NULL,
    PRIMARY KEY (run_id, series, first_seq)
);

-- Holds all that a reader needs to choose packs, so that choosing does not read the packs.
CREATE INDEX metric_packs_span
    ON metric_packs (run_id, series, first_seq, last_seq, min_step, max_step, min_at, max_at);

-- Output of jobs, by the offset of each chunk's first byte.
CREATE TABLE log_chunks (
    job_id       TEXT NOT NULL,
    start_offset BIGINT NOT NULL,
    data         BLOB NOT NULL,
    PRIMARY KEY (job_id, start_offset)
);
