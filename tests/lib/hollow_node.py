"""A node with nothing behind it: it reports itself ready, and its pods running, for tests of what comes before and after
the containers. Usage: hollow_node.py NAME, with KUBECONFIG set; ends with its parent's signal.

A pod becomes Running and Ready as soon as it is bound. One whose restartPolicy is not Always has run to its end at once:
it fails if its first container is called `fails`, and goes on for ever if that is called `lasts`. A pod that is deleted
is gone at once.
"""

import datetime
import os
import sys
import threading
import time

from kubernetes import client, config, watch
from kubernetes.client.rest import ApiException

NAME = sys.argv[1]
LEASES = "kube-node-lease"


def now():
    return datetime.datetime.now(datetime.timezone.utc)


def beat(core, leases):
    """Says every few seconds that the node lives."""
    size = {"cpu": "16", "memory": "32Gi", "pods": "200", "ephemeral-storage": "100Gi"}
    labels = {"kubernetes.io/hostname": NAME, "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64"}
    node = {"metadata": {"name": NAME, "labels": labels}}
    spec = {"holderIdentity": NAME, "leaseDurationSeconds": 40}
    core.create_node(node)
    while True:
        ready = {"type": "Ready", "status": "True", "reason": "Hollow", "message": "this node runs nothing"}
        ready["lastHeartbeatTime"] = ready["lastTransitionTime"] = now().isoformat()
        core.patch_node_status(NAME, {"status": {"capacity": size, "allocatable": size, "conditions": [ready]}})
        spec["renewTime"] = now()
        try:
            leases.patch_namespaced_lease(NAME, LEASES, {"spec": spec})
        except ApiException:
            leases.create_namespaced_lease(LEASES, {"metadata": {"name": NAME}, "spec": spec})
        time.sleep(5)


def status_of(pod):
    """The status of a pod that does what its first container's name says."""
    first = pod.spec.containers[0].name
    ends = pod.spec.restart_policy != "Always" and first != "lasts"
    phase = "Running" if not ends else "Failed" if first == "fails" else "Succeeded"
    code = 1 if phase == "Failed" else 0
    at = now().isoformat()
    ended = {"exitCode": code, "startedAt": at, "finishedAt": at, "reason": "Error" if code else "Completed"}
    state = {"terminated": ended} if ends else {"running": {"startedAt": at}}
    truth = "False" if ends else "True"
    return {
        "phase": phase,
        "podIP": "10.1.%d.%d" % (hash(pod.metadata.uid) >> 8 & 255, hash(pod.metadata.uid) & 255),
        "hostIP": "127.0.0.1",
        "startTime": at,
        "conditions": [
            {"type": kind, "status": truth, "lastTransitionTime": at} for kind in ("Ready", "ContainersReady")
        ],
        "containerStatuses": [
            {"name": c.name, "image": c.image, "imageID": c.image, "ready": not ends, "started": not ends,
             "restartCount": 0, "state": state}
            for c in pod.spec.containers
        ],
    }


def follow(core, pod):
    """Brings one pod to where it should be."""
    meta = pod.metadata
    try:
        if meta.deletion_timestamp:
            core.delete_namespaced_pod(meta.name, meta.namespace, grace_period_seconds=0)
        elif pod.status.phase == "Pending":
            core.patch_namespaced_pod_status(meta.name, meta.namespace, {"status": status_of(pod)})
    except ApiException as error:
        if error.status not in (404, 409):
            raise


def main():
    config.load_kube_config(os.environ["KUBECONFIG"])
    core, leases = client.CoreV1Api(), client.CoordinationV1Api()
    threading.Thread(target=beat, args=(core, leases), daemon=True).start()
    while True:
        selector = {"field_selector": "spec.nodeName=" + NAME}
        for event in watch.Watch().stream(core.list_pod_for_all_namespaces, timeout_seconds=600, **selector):
            if event["type"] != "DELETED":
                follow(core, event["object"])


if __name__ == "__main__":
    main()
