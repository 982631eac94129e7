//! Models packed and read in memory: the same bytes and digests from whatever disk, and nothing of anybody's archive is believed.
