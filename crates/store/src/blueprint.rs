//! Store: blueprint.
