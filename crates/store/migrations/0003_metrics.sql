-- What jobs report: points of metrics in packs, output in chunks. Times are epoch milliseconds.

-- One row per run with metrics: counts its points, which are numbered through, its series, and what is in its inbox.
CREATE TABLE metric_runs (
    run_id       TEXT NOT NULL PRIMARY KEY,
    last_seq     BIGINT NOT NULL,
    last_series  BIGINT NOT NULL,
    inbox_points BIGINT NOT NULL,
    inbox_rows   BIGINT NOT NULL
);

-- One series per tag and epoch. Its newest points outside the inbox are the tail, which only a fold rewrites; with
-- tail_last_seq = 0 all of its points are in the inbox still. `last` is the newest point of the tail, packed like the
-- others, so that NaN survives.
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
    PRIMARY KEY (run_id, series)
);

-- Finds the series of tags without reading their tails. One series per tag and epoch: writers of a run wait for each
-- other at its row in metric_runs.
CREATE INDEX metric_series_tag ON metric_series (run_id, tag, epoch, series, min_step);

-- What was written last, a row per write, whatever its tags: a write to hundreds of series costs one row. Folded into
-- the series when it is full. `series` holds the series and the number of points of each group in turn.
CREATE TABLE metric_inbox (
    run_id    TEXT NOT NULL,
    first_seq BIGINT NOT NULL,
    last_seq  BIGINT NOT NULL,
    series    BLOB NOT NULL,
    data      BLOB NOT NULL,
    PRIMARY KEY (run_id, first_seq)
);

-- The points before the tail, some hundreds to a pack; a pack never changes. The lowest and the highest finite value
-- (null: there is none), and the last value by step and by time (null: it is not finite) stand for all of its points
-- where a chart has them in one bucket.
CREATE TABLE metric_packs (
    run_id       TEXT NOT NULL,
    series       BIGINT NOT NULL,
    first_seq    BIGINT NOT NULL,
    last_seq     BIGINT NOT NULL,
    min_step     BIGINT NOT NULL,
    max_step     BIGINT NOT NULL,
    min_at       BIGINT NOT NULL,
    max_at       BIGINT NOT NULL,
    points       BIGINT NOT NULL,
    gaps         BIGINT NOT NULL,
    min_value    DOUBLE PRECISION,
    max_value    DOUBLE PRECISION,
    last_by_step DOUBLE PRECISION,
    last_by_time DOUBLE PRECISION,
    seqs         BLOB NOT NULL,
    data         BLOB NOT NULL,
    PRIMARY KEY (run_id, series, first_seq)
);

-- Holds all that a reader needs to choose packs, and a chart to do without them, so that neither reads the packs.
CREATE INDEX metric_packs_span
    ON metric_packs (run_id, series, first_seq, last_seq, min_step, max_step, min_at, max_at,
                     points, gaps, min_value, max_value, last_by_step, last_by_time);

-- Output of jobs, by the offset of each chunk's first byte, and by how many lines ended before it. Where one chunk does
-- not begin at the end of the one before, the output between was dropped.
CREATE TABLE log_chunks (
    job_id       TEXT NOT NULL,
    start_offset BIGINT NOT NULL,
    size         BIGINT NOT NULL,
    lines_before BIGINT NOT NULL,
    lines        BIGINT NOT NULL,
    data         BLOB NOT NULL,
    PRIMARY KEY (job_id, start_offset)
);

-- Finds lines, and the ends of chunks, without reading the chunks.
CREATE INDEX log_chunks_lines ON log_chunks (job_id, lines_before, start_offset, size, lines);

-- What was dropped out of the output of jobs that printed more than is kept.
CREATE TABLE log_gaps (
    job_id       TEXT NOT NULL PRIMARY KEY,
    start_offset BIGINT NOT NULL,
    end_offset   BIGINT NOT NULL
);
