//! The pods that are bound to this node: one watch, and a worker for each.

use std::collections::HashMap;
use std::sync::Arc;

use portcullis_client::resource::PODS;
use portcullis_client::{Informer, InformerEvent, Object, ObjectExt};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use crate::agent::Agent;

pub(crate) mod admission;
pub(crate) mod backoff;
pub(crate) mod hooks;
pub(crate) mod images;
pub(crate) mod plan;
pub(crate) mod probing;
pub(crate) mod run;
pub(crate) mod spec;
pub(crate) mod status;
pub(crate) mod worker;
pub(crate) mod writer;

use worker::{Update, Worker};

/// Runs the node's pods until shutdown, and then until all of them have stopped.
pub(crate) async fn run(agent: Arc<Agent>) {
    let selector = format!("spec.nodeName={}", agent.config.node_name);
    let informer = Informer::builder(&agent.client, &PODS).field_selector(&selector).start(agent.shutdown.clone());
    let ready = async { informer.synced().await && agent.classes.synced().await };
    tokio::select! {
        () = agent.shutdown.cancelled() => return,
        ready = ready => if !ready { return },
    }
    let kept: std::collections::HashSet<String> = informer.list().iter().map(|pod| pod.uid().to_owned()).collect();
    match agent.paths.remove_orphans(|uid| kept.contains(uid)) {
        Ok(0) => {}
        Ok(removed) => tracing::info!(removed, "removed directories of pods that are gone"),
        Err(error) => tracing::warn!(%error, "directories of pods that are gone could not be removed"),
    }
    Workers { agent, by_uid: HashMap::new(), tasks: JoinSet::new() }.follow(informer.subscribe()).await;
}

struct Workers {
    agent: Arc<Agent>,
    by_uid: HashMap<String, watch::Sender<Update>>,
    tasks: JoinSet<String>,
}

impl Workers {
    async fn follow(mut self, mut events: mpsc::UnboundedReceiver<InformerEvent>) {
        let shutdown = self.agent.shutdown.clone();
        loop {
            tokio::select! {
                () = shutdown.cancelled() => break,
                event = events.recv() => match event {
                    Some(InformerEvent::Deleted(pod)) => self.send(pod, true),
                    // A pod whose name was taken over by another one between two lists comes as two events.
                    Some(event) => self.send(Arc::clone(event.object()), false),
                    None => break,
                },
                Some(ended) = self.tasks.join_next() => match ended {
                    Ok(uid) => drop(self.by_uid.remove(&uid)),
                    Err(error) => tracing::error!(%error, "a pod's worker ended before its pod"),
                },
            }
        }
        // Each worker stops its own containers.
        while self.tasks.join_next().await.is_some() {}
    }

    fn send(&mut self, pod: Object, gone: bool) {
        let uid = pod.uid().to_owned();
        let update = Update { pod, gone };
        match self.by_uid.get(&uid) {
            Some(worker) if worker.send(update.clone()).is_ok() => {}
            // One that is gone and has no worker left nothing here.
            _ if gone => {}
            _ => {
                let (sender, receiver) = watch::channel(update);
                let worker = Worker::new(Arc::clone(&self.agent), receiver);
                let id = uid.clone();
                self.tasks.spawn(async move {
                    worker.run().await;
                    id
                });
                self.by_uid.insert(uid, sender);
            }
        }
    }
}
