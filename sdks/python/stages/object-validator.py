"""What no schema can say of a Web: its range is in order."""

import portcullis

PATHS = ["/object/spec/min", "/object/spec/max"]


def check(config, least, most):
    least, most = least.py, most.py
    if isinstance(least, int) and isinstance(most, int) and most < least:
        return [portcullis.field_error("invalid", "spec.max", most, "must be at least spec.min")]
    return []


ObjectValidator = portcullis.object_validator(PATHS, check)
