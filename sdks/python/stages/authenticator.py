"""A proxy in front of the cluster has authenticated the caller, and says so in headers. They count only on a connection with
the proxy's client certificate."""

import portcullis

PATHS = [
    "/tls/peerCertificates/0/subject/commonName",
    "/request/headers/x-remote-user/0",
    "/request/headers/x-remote-group",
]


def authenticate(config, proxy, user, groups):
    if not config["proxy"] or proxy.string != config["proxy"] or not user.string:
        return None
    groups = [group.string for group in groups]
    for group in groups:
        if group.startswith("system:"):
            return "rejected", f"{proxy.string} may not say that {user.string} is in {group}"
    return {"username": user.string, "groups": groups}


Authenticator = portcullis.authenticator(PATHS, authenticate)
