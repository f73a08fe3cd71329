//! Bounds on what comes back from a guest. How many bytes a call may hand over at all is bounded by the store (see
//! `HOSTCALL_BYTES` in `instance`); here are the bounds of meaning.

use crate::{
    AuditAnnotation, AuthenticatorOutcome, AuthorizerDecision, Denial, Findings, Mutation, Placement, Verdict,
};

const MAX_MESSAGE: usize = 4 << 10;
/// A value that an error quotes: of some types the reference quotes all of it, with every member that it could have.
const MAX_VALUE: usize = 64 << 10;
const MAX_NAME: usize = 1 << 10;
const MAX_CAUSES: usize = 256;
const MAX_WARNINGS: usize = 64;
const MAX_WARNING: usize = 4 << 10;
const MAX_ANNOTATIONS: usize = 64;
const MAX_ERRORS: usize = 1000;
const MAX_OPERATIONS: usize = 4096;
const MAX_PATCH_BYTES: usize = 3 << 20;
const MAX_GROUPS: usize = 1000;

/// The longest start of a text that fits into `max` bytes.
pub(crate) fn cut(text: &str, max: usize) -> &str {
    &text[..text.floor_char_boundary(max)]
}

fn shorten(text: &mut String, max: usize) {
    text.truncate(text.floor_char_boundary(max));
}

/// What a stage answers, made fit for use: texts are cut; what cannot be cut without changing its meaning is an error.
pub(crate) trait Output {
    /// Cuts texts, and says what makes the answer unusable.
    fn bound(&mut self) -> Result<(), String>;
}

fn warnings(list: &mut Vec<String>) {
    list.truncate(MAX_WARNINGS);
    for warning in list {
        shorten(warning, MAX_WARNING);
        // They become header values: a line break in one would be another header.
        if warning.contains(char::is_control) {
            *warning = warning.replace(char::is_control, " ");
        }
    }
}

fn annotations(list: &mut [AuditAnnotation]) -> Result<(), String> {
    if list.len() > MAX_ANNOTATIONS {
        return Err(format!("more than {MAX_ANNOTATIONS} audit annotations"));
    }
    for annotation in list {
        if annotation.key.is_empty() || annotation.key.len() > MAX_NAME {
            return Err(format!("an audit annotation's key must have 1 to {MAX_NAME} bytes"));
        }
        shorten(&mut annotation.value, MAX_MESSAGE);
    }
    Ok(())
}

fn denial(denied: &mut Option<Denial>) {
    let Some(denial) = denied else { return };
    if !(400..=499).contains(&denial.code) {
        denial.code = 403;
    }
    shorten(&mut denial.reason, MAX_NAME);
    shorten(&mut denial.message, MAX_MESSAGE);
    denial.causes.truncate(MAX_CAUSES);
    for cause in &mut denial.causes {
        shorten(&mut cause.field, MAX_NAME);
        shorten(&mut cause.reason, MAX_NAME);
        shorten(&mut cause.message, MAX_MESSAGE);
    }
}

impl Output for Verdict {
    fn bound(&mut self) -> Result<(), String> {
        denial(&mut self.denied);
        warnings(&mut self.warnings);
        annotations(&mut self.audit_annotations)
    }
}

impl Output for Mutation {
    fn bound(&mut self) -> Result<(), String> {
        denial(&mut self.denied);
        warnings(&mut self.warnings);
        annotations(&mut self.audit_annotations)?;
        if self.patch.len() > MAX_OPERATIONS {
            return Err(format!("a patch of more than {MAX_OPERATIONS} operations"));
        }
        if self.patch.iter().map(|operation| operation.path.len() + operation.value.len()).sum::<usize>()
            > MAX_PATCH_BYTES
        {
            return Err(format!("a patch of more than {MAX_PATCH_BYTES} bytes"));
        }
        Ok(())
    }
}

impl Output for Findings {
    fn bound(&mut self) -> Result<(), String> {
        warnings(&mut self.warnings);
        // One error is enough to refuse the object, so the first ones say what there is to say.
        self.errors.truncate(MAX_ERRORS);
        for error in &mut self.errors {
            shorten(&mut error.field, MAX_NAME);
            shorten(&mut error.value, MAX_VALUE);
            shorten(&mut error.detail, MAX_MESSAGE);
        }
        Ok(())
    }
}

/// The answer of a converter: the objects as text, or why there are none. What they are is for the caller to check.
impl Output for Result<Vec<String>, String> {
    fn bound(&mut self) -> Result<(), String> {
        if let Err(why) = self {
            shorten(why, MAX_MESSAGE);
        }
        Ok(())
    }
}

impl Output for AuthenticatorOutcome {
    fn bound(&mut self) -> Result<(), String> {
        match self {
            AuthenticatorOutcome::Authenticated(user) => {
                if user.username.is_empty() || user.username.len() > MAX_NAME {
                    return Err(format!("a user name must have 1 to {MAX_NAME} bytes"));
                }
                if user.groups.len() > MAX_GROUPS || user.groups.iter().any(|group| group.len() > MAX_NAME) {
                    return Err(format!("a user may have {MAX_GROUPS} groups of at most {MAX_NAME} bytes"));
                }
                Ok(())
            }
            AuthenticatorOutcome::Rejected(why) => {
                shorten(why, MAX_MESSAGE);
                Ok(())
            }
            AuthenticatorOutcome::NoOpinion => Ok(()),
        }
    }
}

impl Output for AuthorizerDecision {
    fn bound(&mut self) -> Result<(), String> {
        if let AuthorizerDecision::Deny(why) | AuthorizerDecision::NoOpinion(why) = self {
            shorten(why, MAX_MESSAGE);
        }
        Ok(())
    }
}

impl Output for Placement {
    fn bound(&mut self) -> Result<(), String> {
        self.reasons.iter_mut().for_each(|reason| shorten(reason, MAX_NAME));
        let reasons = self.reasons.len() as i64;
        match self.scores.iter().find(|score| **score < -reasons) {
            Some(score) => Err(format!("the score {score} names a reason that is not there")),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
