//! The process inside every job: stages, supervises, reports.
