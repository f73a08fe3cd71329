//! Short ways to build answers.

use crate::{AuditAnnotation, Cause, Denial, Findings, Mutation, PatchOperation, Verdict};

impl Verdict {
    /// No objection.
    pub fn allow() -> Self {
        Verdict { denied: None, warnings: Vec::new(), audit_annotations: Vec::new() }
    }

    /// A refusal with details.
    pub fn deny(denial: Denial) -> Self {
        Verdict { denied: Some(denial), ..Self::allow() }
    }

    /// Adds a Warning header for the caller.
    pub fn warn(mut self, text: impl Into<String>) -> Self {
        self.warnings.push(text.into());
        self
    }

    /// Adds a fact for the audit log.
    pub fn audit(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.audit_annotations.push(AuditAnnotation { key: key.into(), value: value.into() });
        self
    }
}

impl Denial {
    /// A refusal with the stage's usual code (403 `Forbidden`).
    pub fn new(message: impl Into<String>) -> Self {
        Denial { code: 0, reason: String::new(), message: message.into(), causes: Vec::new() }
    }

    /// Sets code and reason, where the usual ones do not fit.
    pub fn status(mut self, code: u16, reason: impl Into<String>) -> Self {
        self.code = code;
        self.reason = reason.into();
        self
    }

    /// Ties the refusal to a field.
    pub fn with_cause(mut self, cause: Cause) -> Self {
        self.causes.push(cause);
        self
    }
}

impl Mutation {
    /// Changes nothing.
    pub fn none() -> Self {
        Mutation { denied: None, patch: Vec::new(), warnings: Vec::new(), audit_annotations: Vec::new() }
    }

    /// Applies these operations ([`crate::Patch`] builds them).
    pub fn patch(operations: Vec<PatchOperation>) -> Self {
        Mutation { patch: operations, ..Self::none() }
    }

    /// Refuses the request.
    pub fn deny(denial: Denial) -> Self {
        Mutation { denied: Some(denial), ..Self::none() }
    }
}

impl Findings {
    /// Nothing is wrong.
    pub fn none() -> Self {
        Findings { errors: Vec::new(), warnings: Vec::new() }
    }
}

/// Refuses with a message (403 `Forbidden`).
pub fn deny(message: impl Into<String>) -> Verdict {
    Verdict::deny(Denial::new(message))
}

/// A reason tied to a field.
pub fn cause(field: impl Into<String>, reason: impl Into<String>, message: impl Into<String>) -> Cause {
    Cause { field: field.into(), reason: reason.into(), message: message.into() }
}
