"""Webs have ``spec.size`` in v1, and ``spec.replicas`` in v2."""

import portcullis

NAMES = {"example.com/v1": ("replicas", "size"), "example.com/v2": ("size", "replicas")}


def convert(config, object, wanted):
    if wanted not in NAMES:
        raise ValueError(f"there is no Web in {wanted}")
    old, new = NAMES[wanted]
    spec = object.get("spec", {})
    if old in spec:
        spec[new] = spec.pop(old)
    return object


Converter = portcullis.converter(convert)
