//! Tests of conversions and projections.
