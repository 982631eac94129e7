//! What Runyard does, one verb per file; knows no HTTP and no foreign system.
