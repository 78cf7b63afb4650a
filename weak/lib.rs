//! See `tests/orders`.
