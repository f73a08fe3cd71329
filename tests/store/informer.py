"""What an informer does, as client-go does it: lists ConfigMaps, watches from there, goes on from the last version that it
has seen, and starts over with a list when the server says 410.

informer.py SEEN RELISTED: each name that it has learnt of is a line in SEEN, each 410 one in RELISTED.
"""

import sys
import time

from kubernetes import client, config, watch

config.load_kube_config()
api, (seen, relisted) = client.CoreV1Api(), sys.argv[1:]
known = set()


def note(names):
    with open(seen, "a") as out:
        for name in names:
            if name not in known:
                known.add(name)
                print(name, file=out)


version = None
while True:
    try:
        if version is None:
            found = api.list_namespaced_config_map("default")
            note(item.metadata.name for item in found.items)
            version = found.metadata.resource_version
        for event in watch.Watch().stream(
            api.list_namespaced_config_map, "default", resource_version=version, timeout_seconds=5
        ):
            note([event["object"].metadata.name])
            version = event["object"].metadata.resource_version
    except client.ApiException as error:
        if error.status == 410:
            with open(relisted, "a") as out:
                print(error.reason, file=out)
            version = None
        time.sleep(0.2)
    except Exception:
        # The server is away.
        time.sleep(0.2)
