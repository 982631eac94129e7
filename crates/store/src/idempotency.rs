//! Store: idempotency.
