//! `/healthz`, `/livez`, `/readyz`, `/version`, `/metrics`.
