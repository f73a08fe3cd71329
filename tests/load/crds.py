"""The client of crds.sh."""

import base64
import http.client
import json
import os
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.parse

HOW_MANY, GROUPS = int(sys.argv[1]), int(sys.argv[2]) or int(sys.argv[1])
PID = os.environ["SERVER"]


def connect():
    view = subprocess.run(["kubectl", "config", "view", "--raw", "-o", "json"], capture_output=True, check=True)
    config = json.loads(view.stdout)
    user, cluster = config["users"][0]["user"], config["clusters"][0]["cluster"]

    def file(data, path):
        if path:
            return path
        with tempfile.NamedTemporaryFile(delete=False) as out:
            out.write(base64.b64decode(data))
            return out.name

    context = ssl.create_default_context(
        cafile=file(cluster.get("certificate-authority-data"), cluster.get("certificate-authority"))
    )
    context.load_cert_chain(
        file(user.get("client-certificate-data"), user.get("client-certificate")),
        file(user.get("client-key-data"), user.get("client-key")),
    )
    url = urllib.parse.urlparse(cluster["server"])
    return http.client.HTTPSConnection(url.hostname, url.port, context=context)


CONNECTION = connect()


def request(method, path, body=None, accept="application/json"):
    headers = {"Content-Type": "application/json", "Accept": accept}
    CONNECTION.request(method, path, json.dumps(body) if body else None, headers)
    response = CONNECTION.getresponse()
    return response.status, response.read()


def cpu():
    with open(f"/proc/{PID}/stat") as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory():
    with open(f"/proc/{PID}/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS")) / 1024


def definition(n):
    group = f"g{n % GROUPS}.example.com"
    schema = {
        "type": "object",
        "properties": {
            "spec": {
                "type": "object",
                "properties": {
                    "size": {"type": "integer", "minimum": 1, "default": 1},
                    "image": {"type": "string", "maxLength": 200},
                    "tags": {"type": "array", "items": {"type": "string"}},
                },
            },
            "status": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
        },
    }
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    version["subresources"] = {"status": {}}
    names = {"plural": f"kinds{n}", "singular": f"kind{n}", "kind": f"Kind{n}"}
    return group, {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"kinds{n}.{group}"},
        "spec": {"group": group, "scope": "Namespaced", "names": names, "versions": [version]},
    }


def instance(n, name):
    group, _ = definition(n)
    path = f"/apis/{group}/v1/namespaces/default/kinds{n}"
    body = {"apiVersion": f"{group}/v1", "kind": f"Kind{n}", "metadata": {"name": name}, "spec": {"size": 2}}
    return path, body


def served(n):
    deadline = time.time() + 60
    while request("GET", instance(n, "x")[0])[0] != 200:
        assert time.time() < deadline, f"definition {n} is not served"
        time.sleep(0.005)


def timed(what, act, times=20):
    taken = []
    for _ in range(times):
        start = time.time()
        act()
        taken.append((time.time() - start) * 1000)
    print(f"{what}: first {taken[0]:.1f} ms, then {min(taken[1:]):.2f} ms at least, {max(taken[1:]):.2f} ms at most")


base_cpu, base_memory = cpu(), memory()
print(f"idle: {base_memory:.0f} MiB")
quarter, before, began = max(HOW_MANY // 4, 1), cpu(), time.time()
for n in range(HOW_MANY):
    status, answer = request("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", definition(n)[1])
    assert status == 201, answer
    if (n + 1) % quarter == 0:
        served(n)
        now = cpu()
        each = (now - before) / quarter * 1000
        print(f"{n + 1} definitions: {each:.2f} ms of CPU each, {memory():.0f} MiB, {time.time() - began:.1f} s in all")
        before = now
AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
timed("aggregated discovery", lambda: request("GET", "/apis", accept=AGGREGATED))
timed("list of groups", lambda: request("GET", "/apis"))
timed("OpenAPI v3 index", lambda: request("GET", "/openapi/v3"))
timed("OpenAPI v3 of one group", lambda: request("GET", f"/openapi/v3/apis/{definition(0)[0]}/v1"))
timed("OpenAPI v2", lambda: request("GET", "/openapi/v2"), times=5)
counter = iter(range(10**6))


def create():
    path, body = instance(HOW_MANY // 2, f"x{next(counter)}")
    status, answer = request("POST", path, body)
    assert status == 201, answer


timed("create of an instance", create, times=100)
before, start = cpu(), time.time()
time.sleep(5)
print(f"at rest: {(cpu() - before) / (time.time() - start) * 100:.1f} % of a core, {memory():.0f} MiB")
