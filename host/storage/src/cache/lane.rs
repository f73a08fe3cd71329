//! Event lanes.
