"""Pods take a label of their namespace, unless they have one of their own."""

import portcullis

PATHS = ["/object/metadata/labels", "/namespaceObject/metadata/labels"]


def mutate(config, own, inherited):
    label = config["label"]
    value = inherited.get(label).string
    if not value or not own.get(label).is_absent:
        return []
    if own.is_absent:
        return [{"op": "add", "path": "/metadata/labels", "value": {label: value}}]
    segment = label.replace("~", "~0").replace("/", "~1")
    return [{"op": "add", "path": f"/metadata/labels/{segment}", "value": value}]


Mutator = portcullis.mutator(PATHS, mutate)
