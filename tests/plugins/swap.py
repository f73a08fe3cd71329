"""Creates objects from several threads while a Plugin is swapped: swap.py KUBECONFIG LABEL KNOWN BROKEN SWAPS.

Every object either carries the label `team: red`, which every version allows, or no label, which every version refuses.
"""

import base64
import http.client
import json
import re
import ssl
import sys
import tempfile
import threading
import time

kubeconfig, team_label, known_team, broken, swaps = sys.argv[1:]
text = open(kubeconfig).read()
folder = tempfile.mkdtemp()


def part(field, name):
    path = f"{folder}/{name}"
    with open(path, "wb") as file:
        file.write(base64.b64decode(re.search(field + r": (\S+)", text).group(1)))
    return path


tls = ssl.create_default_context(cafile=part("certificate-authority-data", "ca"))
tls.load_cert_chain(part("client-certificate-data", "cert"), part("client-key-data", "key"))
host = re.search(r"server: https://(\S+)", text).group(1)
PLUGIN = "/apis/plugins.portcullis.dev/v1alpha1/plugins/teams"


def send(connection, method, path, body, media="application/json"):
    connection.request(method, path, json.dumps(body) if body is not None else None, {"Content-Type": media})
    answer = connection.getresponse()
    return answer.status, json.loads(answer.read())


done = threading.Event()
wrong, counts, lock = [], {"allowed": 0, "refused": 0}, threading.Lock()


def load(number):
    connection = http.client.HTTPSConnection(host, context=tls)
    at = 0
    while not done.is_set():
        at += 1
        good = at % 2 == 0
        labels = {"team": "red"} if good else {}
        body = {"metadata": {"name": f"c-{number}-{at}", "labels": labels}}
        code, answer = send(connection, "POST", "/api/v1/namespaces/default/configmaps", body)
        with lock:
            counts["allowed" if good else "refused"] += 1
            if (good and code != 201) or (not good and (code != 403 or 'plugin "teams" denied' not in answer["message"])):
                wrong.append((good, code, answer))


def version(at):
    match at % 5:
        case 0:
            return {"digest": team_label}, None
        case 1:
            return {"digest": known_team}, {"teams": ["red"]}
        case 2:
            return {"digest": known_team}, {"teams": ["red", f"t{at}"]}
        case 3:
            return {"digest": broken}, None
        case _:
            return {"digest": known_team}, {"teams": []}


threads = [threading.Thread(target=load, args=(number,)) for number in range(6)]
for thread in threads:
    thread.start()
connection = http.client.HTTPSConnection(host, context=tls)
loaded, failed, serving = 0, 0, None
for at in range(int(swaps)):
    source, config = version(at)
    patch = {"spec": {"source": source, "config": config}}
    code, plugin = send(connection, "PATCH", PLUGIN, patch, "application/merge-patch+json")
    assert code == 200, plugin
    generation = plugin["metadata"]["generation"]
    until = time.monotonic() + 20
    while plugin.get("status", {}).get("observedGeneration") != generation:
        assert time.monotonic() < until, plugin
        time.sleep(0.005)
        code, plugin = send(connection, "GET", PLUGIN, None)
    status = plugin["status"]
    conditions = {c["type"]: c for c in status["conditions"]}
    assert conditions["Ready"]["status"] == "True", status
    if at % 5 in (3, 4):
        failed += 1
        assert conditions["Loaded"]["status"] == "False" and status["activeDigest"] == serving, (at, status)
    else:
        loaded += 1
        serving = source["digest"]
        assert conditions["Loaded"]["status"] == "True" and status["activeDigest"] == serving, (at, status)
        assert status["activeGeneration"] == generation, status
done.set()
for thread in threads:
    thread.join()
assert not wrong, (len(wrong), wrong[:3])
assert min(counts.values()) > 100, counts
print(f"{loaded} versions swapped in and {failed} refused under {counts['allowed']} creates that passed and "
      f"{counts['refused']} that were refused; none otherwise")
