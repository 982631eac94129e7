//! Store: log.
