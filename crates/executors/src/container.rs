//! Jobs as containers of an engine that speaks the API of Docker.
