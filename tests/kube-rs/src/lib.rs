//! Holds nothing: the tests in `tests/` are all there is.
