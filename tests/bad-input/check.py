#!/usr/bin/env python3
"""Bad requests, and the Status that each must get: the code, the reason, the causes' fields, and words that tell the
person what to change. Python's standard library only.

    check.py KUBECONFIG_JSON      (what `kubectl config view --raw -o json` prints)
"""

import base64
import http.client
import json
import ssl
import sys
import tempfile
import urllib.parse

NS = "/api/v1/namespaces/bad-input"
JSON = {"Content-Type": "application/json"}


class Server:
    def __init__(self, path):
        with open(path, encoding="utf-8") as file:
            config = json.load(file)
        cluster, self.user = config["clusters"][0]["cluster"], config["users"][0]["user"]
        self.ca = base64.b64decode(cluster["certificate-authority-data"]).decode()
        self.url = urllib.parse.urlsplit(cluster["server"])
        self.failures = []
        self.checks = 0

    def request(self, method, path, body=None, headers=None, certificate=True):
        context = ssl.create_default_context(cadata=self.ca)
        if certificate:
            with tempfile.NamedTemporaryFile() as file:
                for field in ("client-certificate-data", "client-key-data"):
                    file.write(base64.b64decode(self.user[field]))
                file.flush()
                context.load_cert_chain(file.name)
        connection = http.client.HTTPSConnection(self.url.hostname, self.url.port, context=context, timeout=30)
        if isinstance(body, (dict, list)):
            body = json.dumps(body)
        connection.request(method, path, body, headers if headers is not None else (JSON if body else {}))
        response = connection.getresponse()
        text = response.read().decode()
        connection.close()
        return response.status, text

    def check(self, name, code, reason, words, method, path, body=None, headers=None, fields=(), certificate=True, event=False):
        """One bad request; `words` must be in the message, `fields` among the causes' fields. With `event`, the Status
        is the object of a watch's first event."""
        self.checks += 1
        got, text = self.request(method, path, body, headers, certificate)
        try:
            status = json.loads(text)
        except ValueError:
            status = {}
        if event and got == 200 and status.get("type") == "ERROR":
            status = status["object"]
            got = status.get("code")
        causes = {cause.get("field") for cause in (status.get("details") or {}).get("causes") or []}
        problems = []
        if (got, status.get("code")) != (code, code):
            problems.append(f"code {got}, in the Status {status.get('code')}")
        if status.get("kind") != "Status" or status.get("status") != "Failure":
            problems.append("no Status")
        if (status.get("reason") or "") != reason:
            problems.append(f"reason {status.get('reason')!r}")
        if words not in (status.get("message") or ""):
            problems.append(f"message {status.get('message')!r}")
        if not set(fields) <= causes:
            problems.append(f"causes {sorted(map(str, causes))}")
        if problems:
            self.failures.append(f"{name}: {'; '.join(problems)}: {text[:400]}")

    def made(self, method, path, body):
        got, text = self.request(method, path, body)
        if got >= 300:
            sys.exit(f"{method} {path}: {got}: {text}")
        return json.loads(text)


def config_map(name, **more):
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, **more}


def pod(name, containers, **metadata):
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, **metadata}, "spec": {"containers": containers}}


CONTAINER = {"name": "c", "image": "example.test/c:1"}


def main():
    server = Server(sys.argv[1])
    check = server.check
    server.made("POST", "/api/v1/namespaces", {"metadata": {"name": "bad-input"}})
    server.made("POST", f"{NS}/serviceaccounts", {"metadata": {"name": "default"}}) \
        if server.request("GET", f"{NS}/serviceaccounts/default")[0] == 404 else None
    known = server.made("POST", f"{NS}/configmaps", config_map("known", data={"k": "v"}))
    maps, pods = f"{NS}/configmaps", f"{NS}/pods"

    # The body cannot be read.
    check("JSON that ends early", 400, "BadRequest", "", "POST", maps, '{"kind": "ConfigMap", ')
    yaml = {"Content-Type": "application/yaml"}
    check("YAML that is none", 400, "BadRequest", "", "POST", maps, "kind: [ConfigMap\n  x", yaml)
    check("no body", 400, "BadRequest", "", "POST", maps, "", JSON)
    check("a number for a text", 400, "BadRequest", "", "POST", maps, config_map("a", data={"k": 1}))
    check("a text for a number", 400, "BadRequest", "", "POST", "/apis/apps/v1/namespaces/bad-input/deployments",
          {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "a"}, "spec": {"replicas": "two"}})
    check("another kind", 400, "BadRequest", "", "POST", maps, {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a"}})
    check("an unknown field, strictly", 400, "BadRequest", 'unknown field "datum"', "POST",
          f"{maps}?fieldValidation=Strict", config_map("a", datum={}))
    check("a field twice, strictly", 400, "BadRequest", "duplicate field", "POST", f"{maps}?fieldValidation=Strict",
          '{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"a","name":"b"}}')
    check("a namespace that is not the path's", 400, "BadRequest", "namespace", "POST", maps,
          {"metadata": {"name": "a", "namespace": "other"}})
    check("a selector that is none", 400, "BadRequest", "", "GET", f"{maps}?labelSelector=a%20b%20c")
    check("a field that cannot be selected", 400, "BadRequest", "", "GET", f"{pods}?fieldSelector=spec.none%3Dx")
    check("a continue token that is none", 400, "BadRequest", "", "GET", f"{maps}?limit=1&continue=zzz")
    check("a dry run of an unknown kind", 422, "Invalid", "dryRun", "POST", f"{maps}?dryRun=Some", config_map("a"))

    # Who is calling, and what they may.
    wrong = {"Authorization": "Bearer no-such-token"}
    check("an unknown user", 401, "Unauthorized", "Unauthorized", "GET", maps, None, wrong, certificate=False)
    nobody = {"Impersonate-User": "nobody"}
    check("a forbidden verb", 403, "Forbidden", 'User "nobody" cannot list resource "configmaps"', "GET", maps, None, nobody)
    check("nobody at all", 403, "Forbidden", 'User "system:anonymous" cannot list', "GET", maps, None, {}, certificate=False)

    # There is no such thing.
    check("no such object", 404, "NotFound", 'configmaps "none" not found', "GET", f"{maps}/none")
    check("no such namespace", 404, "NotFound", 'namespaces "none" not found', "POST", "/api/v1/namespaces/none/configmaps",
          config_map("a"))
    check("no such version", 404, "NotFound", "", "GET", "/apis/apps/v9/namespaces/bad-input/deployments")
    check("a method that is not served", 405, "MethodNotAllowed", "", "PUT", maps, config_map("a"))
    check("it is there already", 409, "AlreadyExists", 'configmaps "known" already exists', "POST", maps, config_map("known"))
    stale = {**known, "metadata": {**known["metadata"], "resourceVersion": "1"}}
    check("a stale version", 409, "Conflict", "the object has been modified", "PUT", f"{maps}/known", stale)
    check("another uid", 409, "Conflict", "", "DELETE", f"{maps}/known", {"preconditions": {"uid": "other"}})

    # It is too old, too new, too large.
    # A watch has begun by the time that this is found out, so that the Status comes as its first event.
    check("a version that is gone", 410, "Expired", "too old resource version", "GET",
          f"{maps}?watch=true&resourceVersion=1", event=True)
    check("a version to come", 504, "Timeout", "Too large resource version", "GET",
          f"{maps}?resourceVersion=999999999&timeoutSeconds=1")
    check("a body that is too large", 413, "RequestEntityTooLarge", "", "POST", maps, config_map("a", data={"k": "x" * (4 << 20)}))
    check("a media type that is not read", 415, "UnsupportedMediaType", "", "POST", maps, "x", {"Content-Type": "text/plain"})
    check("a patch of an unknown form", 415, "UnsupportedMediaType", "", "PATCH", f"{maps}/known", "{}", JSON)
    check("an answer that cannot be made", 406, "NotAcceptable", "", "GET", maps, None, {"Accept": "image/png"})

    # It breaks a rule of its kind.
    check("no containers", 422, "Invalid", "spec.containers: Required value", "POST", pods, pod("a", []),
          fields=["spec.containers"])
    check("a container without a name", 422, "Invalid", "Required value", "POST", pods, pod("a", [{"image": "x"}]),
          fields=["spec.containers[0].name"])
    check("a bad name", 422, "Invalid", "RFC 1123", "POST", maps, config_map("Not_A_Name"), fields=["metadata.name"])
    check("a bad label", 422, "Invalid", "valid label", "POST", pods, pod("a", [CONTAINER], labels={"a": "b c"}),
          fields=["metadata.labels"])
    check("a bad label key", 422, "Invalid", "", "POST", pods, pod("a", [CONTAINER], labels={"-a-": "b"}),
          fields=["metadata.labels"])
    server.made("POST", pods, pod("fixed", [CONTAINER]))
    check("a field that cannot change", 422, "Invalid", "pod updates may not change fields", "PATCH", f"{pods}/fixed",
          [{"op": "add", "path": "/spec/hostNetwork", "value": True}], {"Content-Type": "application/json-patch+json"},
          fields=["spec"])
    check("a patch that does not fit", 422, "Invalid", "", "PATCH", f"{maps}/known",
          [{"op": "remove", "path": "/data/none"}], {"Content-Type": "application/json-patch+json"})

    # Not now.
    server.made("POST", pods, pod("kept", [CONTAINER], labels={"app": "kept"}))
    running = {"status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}}
    got, text = server.request("PATCH", f"{pods}/kept/status", running, {"Content-Type": "application/merge-patch+json"})
    assert got == 200, text
    server.made("POST", "/apis/policy/v1/namespaces/bad-input/poddisruptionbudgets",
                {"metadata": {"name": "kept"}, "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "kept"}}}})
    got, text = server.request("PATCH", "/apis/policy/v1/namespaces/bad-input/poddisruptionbudgets/kept/status",
                               {"status": {"observedGeneration": 1, "disruptionsAllowed": 0, "currentHealthy": 1,
                                           "desiredHealthy": 1, "expectedPods": 1}},
                               {"Content-Type": "application/merge-patch+json"})
    assert got == 200, text
    check("an eviction that a budget forbids", 429, "TooManyRequests", "disruption budget", "POST", f"{pods}/kept/eviction",
          {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "kept", "namespace": "bad-input"}})

    # None of it left anything behind.
    items = {item["metadata"]["name"] for item in server.made("GET", maps, None)["items"]}
    if items - {"known", "kube-root-ca.crt"}:
        server.failures.append(f"refused requests left {items}")
    for failure in server.failures:
        print("FAILED:", failure, file=sys.stderr)
    print(f"{server.checks - len(server.failures)} passed, {len(server.failures)} failed")
    return 1 if server.failures else 0


if __name__ == "__main__":
    sys.exit(main())
