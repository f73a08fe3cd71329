//! A plugin's turn in a request: who is asked, whose answer counts, and what is compared.

use std::sync::Arc;
use std::time::Instant;

use portcullis_machinery::Value;
use portcullis_plugins::matching::{RequestKind, Subject};
use portcullis_plugins::outcomes::Verdict;
use portcullis_plugins::rollout::trial::{Trial, TrialKind};
use portcullis_plugins::table::LivePlugin;
use portcullis_policy::{CallError, Document, Stage};

use super::answer::{Answer, ask};
use crate::context::Context;
use crate::explain::{Part, Step};

/// What is asked.
pub(super) struct Question<'a> {
    pub(super) stage: Stage,
    pub(super) document: &'a Arc<dyn Document>,
    /// The object in the document, or null.
    pub(super) object: &'a Value,
}

/// Who is asked in a plugin's turn.
pub(super) struct Turn {
    /// The version whose decision counts, if any matches.
    lead: Option<Arc<LivePlugin>>,
    /// The version that is asked to compare, or if the lead has no answer.
    beside: Option<Arc<LivePlugin>>,
    /// The trial that both are in, and whether its candidate leads.
    trial: Option<(Arc<Trial>, bool)>,
}

/// Whose answer counts, and the answer.
pub(super) struct Decided {
    pub(super) plugin: Arc<LivePlugin>,
    pub(super) answer: Result<Answer, CallError>,
}

impl Turn {
    /// The turn of a plugin whose rules match the kind of request; `None` if nothing of it matches this one.
    pub(super) fn of(
        plugin: &Arc<LivePlugin>,
        kind: &RequestKind<'_>,
        subject: &Subject<'_>,
        name: &str,
        id: &str,
    ) -> Option<Self> {
        let Some(trial) = &plugin.trial else {
            let matches = plugin.matcher.matches_subject(subject);
            return matches.then(|| Self { lead: Some(Arc::clone(plugin)), beside: None, trial: None });
        };
        // Two versions may see different requests: each is asked only about its own.
        let matching = |plugin: &Arc<LivePlugin>| {
            let matches = plugin.matcher.matches_kind(kind) && plugin.matcher.matches_subject(subject);
            matches.then(|| Arc::clone(plugin))
        };
        let (stable, candidate) = (matching(plugin), matching(&trial.candidate));
        if stable.is_none() && candidate.is_none() {
            return None;
        }
        let leads = trial.decides(subject.namespace, name, id);
        let (lead, beside) = if leads { (candidate, stable) } else { (stable, candidate) };
        // Outside of its share a canary is not asked at all.
        let beside = beside.filter(|_| leads || trial.kind == TrialKind::Shadow);
        Some(Self { lead, beside, trial: Some((Arc::clone(trial), leads)) })
    }

    /// Asks, counts and compares. The answer that counts is that of the version that leads; if that is a canary and fails,
    /// that of the version before it, so that a bad candidate fails no request. `None` if no version that leads matches.
    pub(super) fn ask(self, cx: &Context, question: &Question<'_>) -> Option<Decided> {
        let Some((trial, leads)) = &self.trial else {
            let plugin = self.lead?;
            let answer = timed(cx, &plugin, question, Part::Decides);
            return Some(Decided { plugin, answer });
        };
        let compares = trial.compares();
        let (lead_part, beside_part) = match leads {
            true => (Part::Canary, Part::Compared),
            false => (Part::Decides, Part::Shadow),
        };
        let first = self.lead.map(|plugin| (timed(cx, &plugin, question, lead_part), plugin));
        if *leads && let Some((answer, _)) = &first {
            trial.called(answer.as_ref().err());
        }
        let lead_failed = *leads && first.as_ref().is_some_and(|(answer, _)| answer.is_err());
        let second = match self.beside.filter(|_| compares || lead_failed) {
            Some(plugin) => {
                let part = if lead_failed { Part::Decides } else { beside_part };
                let answer = timed(cx, &plugin, question, part);
                if !leads {
                    trial.called(answer.as_ref().err());
                }
                Some((answer, plugin))
            }
            None => None,
        };
        if compares {
            compare(trial, &first, &second, question.object);
        }
        let counted = if lead_failed && second.is_some() { second } else { first };
        counted.map(|(answer, plugin)| Decided { plugin, answer })
    }
}

/// A version that was asked, and what it said.
type Asked = Option<(Result<Answer, CallError>, Arc<LivePlugin>)>;

/// Counts whether two versions decided the same. One that does not see the request lets it pass as it is; one that failed
/// decided nothing that could be compared.
fn compare<'a>(trial: &Trial, one: &'a Asked, other: &'a Asked, object: &Value) {
    let failed = |asked: &Asked| asked.as_ref().is_some_and(|(answer, _)| answer.is_err());
    if failed(one) || failed(other) {
        return;
    }
    let nothing = Answer::default();
    let said = |asked: &'a Asked| asked.as_ref().and_then(|(answer, _)| answer.as_ref().ok());
    trial.compared(said(one).unwrap_or(&nothing).agrees_with(said(other).unwrap_or(&nothing), object));
}

/// Asks, counts the verdict, and tells whoever wants the request explained.
fn timed(cx: &Context, plugin: &LivePlugin, question: &Question<'_>, part: Part) -> Result<Answer, CallError> {
    let start = cx.explain.as_ref().map(|_| Instant::now());
    let answer = ask(plugin, question);
    let verdict = answer.as_ref().map_or(Verdict::Failed, Answer::verdict);
    plugin.outcomes.count(verdict);
    if let (Some(explain), Some(start)) = (&cx.explain, start) {
        let reason = match &answer {
            Ok(answer) => answer.reason(),
            Err(error) => error.to_string(),
        };
        explain.add(Step {
            stage: question.stage.as_str(),
            plugin: plugin.name.clone(),
            digest: plugin.policy.digest().to_string(),
            mode: plugin.mode.as_str(),
            part,
            verdict: verdict.as_str(),
            reason,
            operations: answer.as_ref().map_or(0, |answer| answer.operations),
            took: start.elapsed(),
        });
    }
    answer
}
