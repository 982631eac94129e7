-- Where inputs of runs came from and outputs went to. Times are epoch milliseconds.

-- `uri` is what was asked for. `kind`, `target_id` and `place` are what that was when the run was submitted, so that another
-- attempt reads the same: `place` is a file or a folder of the target, a set of a dataset, or an address in a bucket.
-- `from_run_id` is the run that made an input; it may be gone.
CREATE TABLE run_links (
    run_id      TEXT NOT NULL,
    project_id  TEXT NOT NULL,
    direction   TEXT NOT NULL,
    channel     TEXT NOT NULL,
    kind        TEXT NOT NULL,
    uri         TEXT NOT NULL,
    target_id   TEXT,
    place       TEXT NOT NULL,
    from_run_id TEXT,
    PRIMARY KEY (run_id, direction, channel)
);

CREATE INDEX run_links_from ON run_links (from_run_id, run_id) WHERE from_run_id IS NOT NULL;
CREATE INDEX run_links_target ON run_links (target_id) WHERE target_id IS NOT NULL;
CREATE INDEX run_links_place ON run_links (project_id, place, run_id) WHERE direction = 'output';

-- Permissions of a file, when its sender said them: outputs keep what may be executed.
ALTER TABLE files ADD COLUMN mode BIGINT;
