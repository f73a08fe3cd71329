#!/usr/bin/env python3
"""An extension API server, as small as one can be: version v1alpha1 of the group wardle.example.com, with the namespaced
resource flunders (list, watch, create, get, merge patch, delete), discovery in both forms and OpenAPI v2 and v3.

  extension.py ADDRESS PORT CERTIFICATE KEY FRONT_PROXY_CA

It believes nobody but the front proxy: a client has to show a certificate of FRONT_PROXY_CA with the right name, and who
asks is what X-Remote-User says. `GET …/v1alpha1/identity` answers with what it was told, and `…/v1alpha1/echo` upgrades
the connection and sends everything back.
"""
import http.server
import json
import re
import ssl
import sys
import threading
import uuid

GROUP, VERSION = "wardle.example.com", "v1alpha1"
ROOT = f"/apis/{GROUP}/{VERSION}"
AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
VERBS = ["create", "delete", "get", "list", "patch", "watch"]
SCHEMA = {
    "type": "object",
    "description": "A flunder is what the server of this group keeps.",
    "properties": {
        "apiVersion": {"type": "string"},
        "kind": {"type": "string"},
        "metadata": {"type": "object", "additionalProperties": True},
        "spec": {
            "type": "object",
            "description": "What is wanted.",
            "properties": {"reference": {"type": "string", "description": "Another flunder's name."}},
        },
    },
    "x-kubernetes-group-version-kind": [{"group": GROUP, "version": VERSION, "kind": "Flunder"}],
}
NAME = "com.example.wardle.v1alpha1.Flunder"

lock = threading.Condition()
objects, events, revision = {}, [], 1


def change(kind, key, value):
    """Stores a new version of an object, or takes it away, and tells the watches."""
    global revision
    revision += 1
    value["metadata"]["resourceVersion"] = str(revision)
    if kind == "DELETED":
        objects.pop(key)
    else:
        objects[key] = value
    events.append((revision, key, {"type": kind, "object": json.loads(json.dumps(value))}))
    lock.notify_all()


def operation(action, version):
    reference = f"#/components/schemas/{NAME}" if version == 3 else f"#/definitions/{NAME}"
    answer = {"$ref": reference}
    answer = {"content": {"application/json": {"schema": answer}}} if version == 3 else {"schema": answer}
    return {
        "responses": {"200": {"description": "OK", **answer}},
        "x-kubernetes-action": action,
        "x-kubernetes-group-version-kind": {"group": GROUP, "version": VERSION, "kind": "Flunder"},
    }


def paths(version):
    one, many = f"{ROOT}/namespaces/{{namespace}}/flunders/{{name}}", f"{ROOT}/namespaces/{{namespace}}/flunders"
    return {
        many: {"post": operation("post", version), "get": operation("list", version)},
        one: {"get": operation("get", version), "patch": operation("patch", version)},
    }


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, code, value, content_type="application/json"):
        body = json.dumps(value).encode()
        self.send_response(code)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def status(self, code, reason, message):
        value = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "code": code}
        self.answer(code, {**value, "reason": reason, "message": message})

    def believed(self):
        """Whether the front proxy speaks."""
        subject = dict(pair[0] for pair in (self.connection.getpeercert() or {}).get("subject", ()))
        if subject.get("commonName") == "front-proxy-client" and self.headers.get("X-Remote-User"):
            return True
        self.status(401, "Unauthorized", "only the front proxy is believed")
        return False

    def body(self):
        return json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))) or b"null")

    def do_GET(self):
        if not self.believed():
            return
        path, _, query = self.path.partition("?")
        gv = {"groupVersion": f"{GROUP}/{VERSION}", "version": VERSION}
        flunders = {"name": "flunders", "singularName": "flunder", "namespaced": True, "kind": "Flunder"}
        if path == "/apis" and "as=APIGroupDiscoveryList" in self.headers.get("Accept", ""):
            kind = {"group": GROUP, "version": VERSION, "kind": "Flunder"}
            resource = {"resource": "flunders", "responseKind": kind, "scope": "Namespaced", "verbs": VERBS}
            resource.update(singularResource="flunder", shortNames=["fl"])
            version = {"version": VERSION, "freshness": "Current", "resources": [resource]}
            items = [{"metadata": {"name": GROUP}, "versions": [version]}]
            value = {"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {}, "items": items}
            self.answer(200, value, AGGREGATED)
        elif path == "/apis":
            groups = [{"name": GROUP, "versions": [gv], "preferredVersion": gv}]
            self.answer(200, {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})
        elif path == ROOT:
            resources = [{**flunders, "verbs": VERBS, "shortNames": ["fl"]}]
            value = {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": f"{GROUP}/{VERSION}"}
            self.answer(200, {**value, "resources": resources})
        elif path == "/openapi/v2":
            value = {"swagger": "2.0", "info": {"title": "wardle", "version": "v0"}, "paths": paths(2)}
            self.answer(200, {**value, "definitions": {NAME: SCHEMA}})
        elif path == "/openapi/v3":
            url = f"/openapi/v3{ROOT}?hash=ABC"
            self.answer(200, {"paths": {ROOT[1:]: {"serverRelativeURL": url}}})
        elif path == f"/openapi/v3{ROOT}":
            value = {"openapi": "3.0.0", "info": {"title": "wardle", "version": "v0"}, "paths": paths(3)}
            self.answer(200, {**value, "components": {"schemas": {NAME: SCHEMA}}})
        elif path == f"{ROOT}/identity":
            headers = [[name.lower(), value] for name, value in self.headers.items()]
            self.answer(200, {"headers": headers})
        elif path == f"{ROOT}/away":
            self.send_response(302)
            self.send_header("Location", "https://elsewhere.example/")
            self.send_header("Content-Length", "0")
            self.end_headers()
        elif path == f"{ROOT}/echo":
            self.echo()
        else:
            self.flunders(path, query)

    def echo(self):
        self.send_response(101)
        self.send_header("Connection", "Upgrade")
        self.send_header("Upgrade", self.headers.get("Upgrade", "echo"))
        self.end_headers()
        while data := self.connection.recv(4096):
            self.connection.sendall(data)
        self.close_connection = True

    def place(self, path):
        return re.fullmatch(f"{ROOT}(?:/namespaces/([^/]+))?/flunders(?:/([^/]+))?", path)

    def flunders(self, path, query):
        found = self.place(path)
        if not found:
            return self.status(404, "NotFound", "the server could not find the requested resource")
        namespace, name = found.groups()
        if name:
            with lock:
                value = objects.get((namespace, name))
            return self.answer(200, value) if value else self.missing(name)
        if "watch=" in query:
            return self.watch(namespace, query)
        with lock:
            items = [value for key, value in sorted(objects.items()) if namespace in (None, key[0])]
            meta = {"resourceVersion": str(revision)}
        self.answer(200, {"kind": "FlunderList", "apiVersion": f"{GROUP}/{VERSION}", "metadata": meta, "items": items})

    def watch(self, namespace, query):
        since = int((re.search(r"resourceVersion=(\d+)", query) or [0, "0"])[1])
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        while True:
            with lock:
                ready = [e for e in events if e[0] > since and namespace in (None, e[1][0])]
                if not ready:
                    lock.wait(1)
            for at, _, event in ready:
                line = json.dumps(event).encode() + b"\n"
                self.wfile.write(b"%x\r\n%s\r\n" % (len(line), line))
                self.wfile.flush()
                since = at

    def missing(self, name):
        self.status(404, "NotFound", f'flunders.{GROUP} "{name}" not found')

    def do_POST(self):
        if not self.believed():
            return
        found, value = self.place(self.path.partition("?")[0]), self.body()
        if not found:
            return self.status(404, "NotFound", "the server could not find the requested resource")
        value["metadata"].update(namespace=found[1], uid=str(uuid.uuid4()), creationTimestamp="2026-01-01T00:00:00Z")
        value["metadata"].setdefault("annotations", {})["made-by"] = self.headers["X-Remote-User"]
        with lock:
            change("ADDED", (found[1], value["metadata"]["name"]), value)
        self.answer(201, value)

    def do_PATCH(self):
        if not self.believed():
            return
        found, patch = self.place(self.path.partition("?")[0]), self.body()
        with lock:
            value = objects.get(found.groups()) if found else None
            if value:
                merge(value, patch)
                change("MODIFIED", found.groups(), value)
        self.answer(200, value) if value else self.missing(self.path)

    def do_DELETE(self):
        if not self.believed():
            return
        found = self.place(self.path.partition("?")[0])
        self.body()
        with lock:
            value = objects.get(found.groups()) if found else None
            if value:
                change("DELETED", found.groups(), value)
        self.answer(200, value) if value else self.missing(self.path)


def merge(value, patch):
    for key, new in patch.items():
        if isinstance(new, dict) and isinstance(value.get(key), dict):
            merge(value[key], new)
        elif new is None:
            value.pop(key, None)
        else:
            value[key] = new


def main():
    address, port, certificate, key, front_proxy_ca = sys.argv[1:]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    context.load_verify_locations(front_proxy_ca)
    context.verify_mode = ssl.CERT_REQUIRED

    class Server(http.server.ThreadingHTTPServer):
        daemon_threads = True

        def finish_request(self, request, client_address):
            # The handshake takes place in the request's thread, so that a client that is slow with it holds up nobody.
            super().finish_request(context.wrap_socket(request, server_side=True), client_address)

        def handle_error(self, request, client_address):
            pass

    Server((address, int(port)), Handler).serve_forever()


main()
