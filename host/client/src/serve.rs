//! A small HTTPS server for `/healthz`, `/readyz` and `/metrics` of a component.
