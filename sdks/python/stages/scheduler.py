"""Pods that name a zone run there, on the node with the fewest pods."""

import portcullis

PATHS = ["/pod/metadata/labels"]
NODE_PATHS = ["/metadata/labels"]


def place(config, batch, nodes, labels):
    wanted = labels.get(config["label"]).string
    pods = batch.resources.index("pods") * batch.nodes

    def score(node):
        zone = nodes.get(node).get(0).get(config["label"]).string
        if wanted and zone != wanted:
            return -1
        allocatable, requested = batch.allocatable[pods + node], batch.requested[pods + node]
        return max((allocatable - requested) * 100 // allocatable, 0) if allocatable > 0 else 0

    return [score(node) for node in range(batch.nodes)], ["node(s) in another zone"]


Scheduler = portcullis.scheduler(PATHS, NODE_PATHS, place)
