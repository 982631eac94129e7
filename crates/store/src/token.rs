//! Store: token.
