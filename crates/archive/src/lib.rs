//! tar.zst archives: create, digest, extract; knows files, nothing else.
