"""Every pod says whose it is: it carries a label."""

import portcullis

# What is read of the request; the function gets a value for each path, after the Plugin's config.
PATHS = ["/object/metadata/labels"]


def check(config, labels):
    label = config["label"]
    owner = labels.get(label).string
    if not owner:
        return portcullis.deny(f'every pod carries the label "{label}": whose is this one?')
    return portcullis.allow(audit={"owner": owner})


Validator = portcullis.validator(PATHS, check)
