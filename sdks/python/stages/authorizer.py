"""Nothing changes in a frozen namespace, whatever RBAC allows."""

import portcullis

PATHS = ["/request/verb", "/request/namespace"]


def authorize(config, verb, namespace):
    if verb.string not in ("get", "list", "watch") and namespace.string in config["frozen"]:
        return "deny", f"the namespace {namespace.string} is frozen"
    return None


Authorizer = portcullis.authorizer(PATHS, authorize)
