//! Store: project.
