//! Flow control: a bound on requests in flight.
