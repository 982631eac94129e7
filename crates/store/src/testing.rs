//! Store: testing.
