#!/usr/bin/env python3
"""Creates pods without a pause while a policy is swapped, and checks every single answer.

Three kinds of pods are created in turn: those that both versions of the policy allow (team red), those that both refuse
(no team), and those that only the first allows (team green). The first two must get the same answer always. The third
must be created if its request ended before the swap began, and refused if it began after the swap was done; in between,
either version may answer, but one of them does. Python's standard library only.

    load.py --kubeconfig-json FILE --namespace NS --begin FILE --done FILE --seconds N [--threads N]

`--kubeconfig-json` is what `kubectl config view --raw -o json` prints. The swap's script makes the files `--begin` and
`--done` when the swap begins and when it is done. The load ends when it has gone on for `--seconds` after that.
"""

import argparse
import base64
import collections
import http.client
import json
import os
import ssl
import sys
import tempfile
import threading
import time
import urllib.parse

KINDS = (("red", {"team": "red"}), ("bare", {}), ("green", {"team": "green"}))


def tls_of(config):
    """The TLS context and the server's URL of a kubeconfig."""
    cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
    context = ssl.create_default_context(cadata=base64.b64decode(cluster["certificate-authority-data"]).decode())
    with tempfile.NamedTemporaryFile() as file:
        for field in ("client-certificate-data", "client-key-data"):
            file.write(base64.b64decode(user[field]))
        file.flush()
        context.load_cert_chain(file.name)
    return context, urllib.parse.urlsplit(cluster["server"])


def pod(name, labels):
    return json.dumps({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": labels},
        # Nobody schedules these: they are there to be admitted or refused.
        "spec": {"schedulerName": "nobody", "containers": [{"name": "c", "image": "example.test/c:1"}]},
    })


class Load:
    def __init__(self, args):
        self.args = args
        with open(args.kubeconfig_json, encoding="utf-8") as file:
            self.tls, self.url = tls_of(json.load(file))
        self.lock = threading.Lock()
        self.answers = collections.Counter()
        self.wrong = []
        self.over = False

    def expected(self, kind, began_after_swap, ended_before_swap):
        if kind == "red":
            return {201}
        if kind == "bare":
            return {403}
        return {403} if began_after_swap else {201} if ended_before_swap else {201, 403}

    def work(self, thread):
        connection = http.client.HTTPSConnection(self.url.hostname, self.url.port, context=self.tls, timeout=30)
        path = f"/api/v1/namespaces/{self.args.namespace}/pods"
        number = 0
        while not self.over:
            kind, labels = KINDS[number % len(KINDS)]
            began_after_swap = os.path.exists(self.args.done)
            try:
                body = pod(f"{kind}-{thread}-{number}", labels)
                connection.request("POST", path, body, {"Content-Type": "application/json"})
                response = connection.getresponse()
                code, text = response.status, response.read().decode()
            except (OSError, http.client.HTTPException) as error:
                code, text = 0, repr(error)
                connection.close()
            ended_before_swap = not os.path.exists(self.args.begin)
            with self.lock:
                self.answers[(kind, code)] += 1
                if code not in self.expected(kind, began_after_swap, ended_before_swap):
                    self.wrong.append(f"{kind}-{thread}-{number}: {code}: {text[:300]}")
            number += 1

    def run(self):
        threads = [threading.Thread(target=self.work, args=(n,), daemon=True) for n in range(self.args.threads)]
        for thread in threads:
            thread.start()
        deadline = time.monotonic() + 120
        while not os.path.exists(self.args.done) and time.monotonic() < deadline:
            time.sleep(0.1)
        time.sleep(self.args.seconds)
        self.over = True
        for thread in threads:
            thread.join(60)
        total = sum(self.answers.values())
        print(f"{total} creates:", ", ".join(f"{k} {c}: {n}" for (k, c), n in sorted(self.answers.items())))
        for line in self.wrong[:10]:
            print("wrong answer:", line, file=sys.stderr)
        # Both versions must have been seen at work, or the load proves nothing.
        seen = self.answers[("green", 201)] > 0 and self.answers[("green", 403)] > 0
        if not seen:
            print("the swap fell outside of the load", file=sys.stderr)
        return 0 if seen and not self.wrong and os.path.exists(self.args.done) else 1


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("--kubeconfig-json", "--namespace", "--begin", "--done"):
        parser.add_argument(name, required=True)
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--threads", type=int, default=4)
    return Load(parser.parse_args()).run()


if __name__ == "__main__":
    sys.exit(main())
