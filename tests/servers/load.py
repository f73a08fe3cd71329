#!/usr/bin/env python3
"""Writes, reads and watches through a load balancer while servers behind it come and go, and checks that nothing fails
that client-go would not try again, that nothing acknowledged is lost, and that watches miss and repeat nothing.

    load.py --kubeconfig-json FILE --port PORT --namespace NS --done FILE [--killed]

What client-go tries again: any request whose connection could not be made, or was closed while it was idle; a GET whose
connection broke; answers 429 and 5xx that have a Retry-After. With `--killed` a write whose connection broke is looked
at again, since it may or may not have been done. Python's standard library only.
"""

import argparse
import base64
import http.client
import json
import os
import ssl
import sys
import tempfile
import threading
import time

WRITERS = 6
WATCHERS = 3


def tls_of(path):
    with open(path, encoding="utf-8") as file:
        user = json.load(file)["users"][0]["user"]
    context = ssl._create_unverified_context()
    with tempfile.NamedTemporaryFile() as file:
        for field in ("client-certificate-data", "client-key-data"):
            file.write(base64.b64decode(user[field]))
        file.flush()
        context.load_cert_chain(file.name)
    return context


class Unknown(Exception):
    """The connection broke before a write was answered."""


class Client:
    """One kept connection."""

    def __init__(self, context, port, killed=False):
        self.context, self.port, self.connection, self.used = context, port, None, False
        # A server that is killed does not end idle connections only.
        self.killed = killed

    def close(self):
        if self.connection:
            self.connection.close()
        self.connection = None

    def send(self, method, path, body=None, content="application/json"):
        """The answer's code and object."""
        for _ in range(200):
            if self.connection is None:
                self.connection = http.client.HTTPSConnection("127.0.0.1", self.port, context=self.context, timeout=60)
                self.used = False
                try:
                    self.connection.connect()
                except OSError:
                    self.close()
                    time.sleep(0.05)
                    continue
            try:
                data = None if body is None else json.dumps(body)
                self.connection.request(method, path, data, {"Content-Type": content})
                response = self.connection.getresponse()
                text = response.read()
            except http.client.RemoteDisconnected as error:
                # Closed without a byte of an answer: an idle connection that the server ended, if it had been used.
                idle = self.used
                self.close()
                if idle and not self.killed or method == "GET":
                    continue
                raise Unknown from error
            except (OSError, http.client.HTTPException) as error:
                self.close()
                if method == "GET":
                    continue
                raise Unknown from error
            self.used = True
            if response.will_close:
                self.close()
            if response.status in (429, 500, 502, 503, 504) and response.getheader("Retry-After"):
                time.sleep(0.1)
                continue
            return response.status, json.loads(text)
        raise SystemExit("FAILED: no server was to be had")


class Load:
    def __init__(self, args):
        self.args = args
        self.context = tls_of(args.kubeconfig_json)
        self.path = f"/api/v1/namespaces/{args.namespace}/configmaps"
        self.lock = threading.Lock()
        self.failures, self.unknown, self.written = [], 0, {}
        self.requests = 0
        self.last = None

    def over(self):
        return os.path.exists(self.args.done) or self.failures

    def fail(self, text):
        with self.lock:
            self.failures.append(text)

    def write(self, number):
        client, step = Client(self.context, self.args.port, self.args.killed), 0
        while not self.over():
            name, step = f"w{number}-{step}", step + 1
            try:
                self.one(client, name)
            except Unknown:
                if not self.args.killed:
                    self.fail(f"{name}: a write was cut off")
                with self.lock:
                    self.unknown += 1

    def one(self, client, name):
        code, made = client.send("POST", self.path, {"metadata": {"name": name}, "data": {"step": "0"}})
        if code != 201:
            return self.fail(f"create {name}: {code} {made}")
        with self.lock:
            self.written[name] = "0"
        patch = {"data": {"step": "1"}}
        code, patched = client.send("PATCH", f"{self.path}/{name}", patch, "application/merge-patch+json")
        if code != 200:
            return self.fail(f"patch {name}: {code} {patched}")
        with self.lock:
            self.written[name] = "1"
        # A read after a write sees it, whichever server answers.
        code, read = client.send("GET", f"{self.path}/{name}")
        if code != 200 or read["data"] != {"step": "1"}:
            return self.fail(f"get {name} after its patch: {code} {read}")
        with self.lock:
            self.requests += 3

    def watch(self, number):
        """Follows all objects as an informer does, and checks revisions."""
        client = Client(self.context, self.args.port)
        code, listed = client.send("GET", self.path)
        version, seen = listed["metadata"]["resourceVersion"], {}
        while self.last is None or int(version) < self.last:
            connection = http.client.HTTPSConnection("127.0.0.1", self.args.port, context=self.context, timeout=20)
            query = f"?watch=true&allowWatchBookmarks=true&resourceVersion={version}"
            try:
                connection.request("GET", self.path + query)
                response = connection.getresponse()
                if response.status != 200:
                    if response.status in (429, 500, 503):
                        time.sleep(0.1)
                        continue
                    return self.fail(f"watch {number}: {response.status} {response.read()}")
                while line := response.readline():
                    event = json.loads(line)
                    if event["type"] == "ERROR":
                        return self.fail(f"watch {number}: {event}")
                    this = event["object"]["metadata"]["resourceVersion"]
                    if event["type"] != "BOOKMARK":
                        if int(this) <= int(version):
                            return self.fail(f"watch {number}: {this} after {version}")
                        name = event["object"]["metadata"]["name"]
                        step = event["object"]["data"]["step"]
                        if (seen.get(name), step) not in ((None, "0"), ("0", "1")):
                            return self.fail(f"watch {number}: {name} went from {seen.get(name)} to {step}")
                        seen[name] = step
                    version = this
                    if self.last is not None and int(version) >= self.last:
                        break
            except (OSError, http.client.HTTPException):
                time.sleep(0.05)
            finally:
                connection.close()
        self.check(f"watch {number}", seen)

    def check(self, what, found):
        wrong = {name: (step, found.get(name)) for name, step in self.written.items()
                 if found.get(name) is None or found[name] < step}
        if wrong:
            self.fail(f"{what}: written, and found: {dict(list(wrong.items())[:5])}")

    def run(self):
        writers = [threading.Thread(target=self.write, args=(number,)) for number in range(WRITERS)]
        watchers = [threading.Thread(target=self.watch, args=(number,)) for number in range(WATCHERS)]
        for watcher in watchers:
            watcher.start()
        time.sleep(1)
        for writer in writers:
            writer.start()
        for writer in writers:
            writer.join()
        client = Client(self.context, self.args.port)
        code, listed = client.send("GET", self.path)
        # Something for the watches to end with, that they see in their turn.
        code, end = client.send("POST", self.path, {"metadata": {"name": "end"}, "data": {"step": "0"}})
        self.last = int(end["metadata"]["resourceVersion"])
        for watcher in watchers:
            watcher.join(60)
            if watcher.is_alive():
                self.fail("a watch did not come to its end")
                break
        self.check("the list", {item["metadata"]["name"]: item["data"]["step"] for item in listed["items"]})
        print(f"{self.requests} requests, {len(self.written)} objects, {self.unknown} writes cut off")
        for failure in self.failures[:10]:
            print(f"FAILED: {failure}", file=sys.stderr)
        if self.failures or len(self.written) < 50:
            # What hangs must not keep the process.
            os._exit(1)


parser = argparse.ArgumentParser()
parser.add_argument("--kubeconfig-json", required=True)
parser.add_argument("--port", type=int, required=True)
parser.add_argument("--namespace", required=True)
parser.add_argument("--done", required=True)
parser.add_argument("--killed", action="store_true")
Load(parser.parse_args()).run()
