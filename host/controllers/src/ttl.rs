//! Jobs that say so are deleted some time after they are over.

use std::time::Duration;

use portcullis_client::resource::JOBS;
use portcullis_client::{
    Client, ClientError, DeleteParams, Object, ObjectExt, Propagation, WorkQueue, run_workers, time,
};
use portcullis_machinery::Value;

use crate::common::{Context, condition};

#[cfg(test)]
mod tests;

/// Runs the controller until shutdown.
pub(crate) async fn run(context: Context) {
    let client = context.client_for("ttl-after-finished-controller");
    let queue: WorkQueue<String> = WorkQueue::new();
    context.jobs.synced().await;
    let add = queue.clone();
    context.jobs.on_event(move |event| {
        if due_in(event.object()).is_some() {
            add.add(event.object().key());
        }
    });
    let (jobs, again) = (context.jobs.clone(), queue.clone());
    run_workers("ttl-after-finished", queue, 2, context.shutdown, move |key| {
        let (client, job, again) = (client.clone(), jobs.get_key(&key), again.clone());
        async move {
            match job.as_ref().and_then(|job| due_in(job)) {
                Some(seconds) if seconds > 0.0 => again.add_after(key, Duration::from_secs_f64(seconds)),
                Some(_) => delete(&client, job).await?,
                None => {}
            }
            Ok::<(), ClientError>(())
        }
    })
    .await;
}

/// Seconds until a Job is to be deleted; `None` for those that stay.
fn due_in(job: &Value) -> Option<f64> {
    let ttl = job.int_at(&["spec", "ttlSecondsAfterFinished"]).filter(|_| !job.is_deleting())?;
    let ended = ["Complete", "Failed"]
        .iter()
        .find_map(|kind| condition(job, kind).filter(|known| known.str_at(&["status"]) == "True"))?;
    let since = time::seconds_since(ended.str_at(&["lastTransitionTime"]))?;
    Some((ttl as f64 - since).max(0.0))
}

async fn delete(client: &Client, job: Option<Object>) -> Result<(), ClientError> {
    let Some(job) = job else { return Ok(()) };
    let params = DeleteParams { propagation: Some(Propagation::Foreground), ..DeleteParams::uid(job.uid()) };
    match client.delete(&JOBS, job.namespace(), job.name(), &params).await {
        Err(error) if !error.is_not_found() => Err(error),
        _ => Ok(()),
    }
}
