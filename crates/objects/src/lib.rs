//! Bytes in a folder or an object store.
//!
//! Keys are `/`-separated relative names. A write is durable and whole, or not visible at all.

