"""Every pod says whose it is: it carries the label ``team``."""

import portcullis


def check(config, team):
    if not team.string:
        return portcullis.deny('every pod carries the label "team": whose is this one?')
    return portcullis.allow(audit={"team": team.string})


Validator = portcullis.validator(["/object/metadata/labels/team"], check)
