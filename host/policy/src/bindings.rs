//! The Rust side of `wit/`.
//!
//! One world that exports the interface of every stage is bound here, so that all stages share one set of types; which
//! of these interfaces a component really has is looked up for each stage (see [`crate::stage`] and
//! [`crate::instance`]).

#![allow(missing_docs, reason = "the documentation of these items is that of wit/, which the macro carries over")]

wasmtime::component::bindgen!({
    path: "../../wit",
    inline: "
        package portcullis:host;

        world every-stage {
            import portcullis:policy/log@0.1.0;
            import portcullis:policy/clock@0.1.0;
            import portcullis:policy/random@0.1.0;
            import portcullis:policy/review@0.1.0;
            import portcullis:policy/cluster@0.1.0;
            import portcullis:policy/signatures@0.1.0;
            import portcullis:policy/scheduling@0.1.0;
            export portcullis:policy/authenticator@0.1.0;
            export portcullis:policy/authorizer@0.1.0;
            export portcullis:policy/mutator@0.1.0;
            export portcullis:policy/validator@0.1.0;
            export portcullis:policy/object-validator@0.1.0;
            export portcullis:policy/scheduler@0.1.0;
            export portcullis:policy/converter@0.1.0;
        }
    ",
    additional_derives: [PartialEq],
});

pub use exports::portcullis::policy::authenticator::Outcome as AuthenticatorOutcome;
pub use exports::portcullis::policy::authorizer::Decision as AuthorizerDecision;
pub use exports::portcullis::policy::mutator::{Mutation, Operation as PatchOperationKind, PatchOperation};
pub use exports::portcullis::policy::object_validator::{ErrorType as FieldErrorType, FieldError, Findings};
pub use exports::portcullis::policy::scheduler::{NodeBatch, Placement};
pub use exports::portcullis::policy::validator::Verdict;
pub use portcullis::policy::cluster::ReadError;
pub use portcullis::policy::log::Level as LogLevel;
pub use portcullis::policy::signatures::VerifyError;
pub use portcullis::policy::types::{AuditAnnotation, Cause, Denial, InputForm, UserInfo};
