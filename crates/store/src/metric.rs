//! Store: metric.
