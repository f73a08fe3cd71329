//! What a cluster holds before anyone wrote to it: the bootstrap RBAC policy.
