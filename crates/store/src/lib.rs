//! The database, SQLite or PostgreSQL behind one type: all SQL, and only here.
