"""Watchers that do not read, and watchers that are too many. Arguments: a kubeconfig as JSON, the server's process."""

import base64
import http.client
import json
import os
import re
import socket
import ssl
import sys
import tempfile
import time

CONFIGMAPS = "/api/v1/namespaces/default/configmaps"
SLOW, OBJECTS, CHANGES, SIZE = 20, 20, 3000, 100_000
# What may be kept however much is written: history, the window of the watch cache with what it replaced, buffers of
# connections. All changes together are 300 MB for each of the watchers.
BOUND = 450_000_000

config = json.load(open(sys.argv[1]))
pid = int(sys.argv[2])
server = config["clusters"][0]["cluster"]["server"].removeprefix("https://")
host, port = server.split(":")


def context(with_certificate):
    made = ssl.create_default_context()
    made.check_hostname = False
    made.verify_mode = ssl.CERT_NONE
    if with_certificate:
        user = config["users"][0]["user"]
        with tempfile.NamedTemporaryFile(delete=False) as file:
            for part in ("certificate", "key"):
                file.write(base64.b64decode(user[f"client-{part}-data"]) + b"\n")
        made.load_cert_chain(file.name)
        os.unlink(file.name)
    return made


ADMIN, ANYBODY = context(True), context(False)


def resident():
    with open(f"/proc/{pid}/status") as status:
        return int(re.search(r"VmRSS:\s+(\d+)", status.read()).group(1)) * 1024


def open_watch(path, tls, headers="", buffer=None):
    """A watch as a bare connection, of which nothing has been read."""
    plain = socket.socket()
    if buffer:
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
    plain.connect((host, int(port)))
    stream = tls.wrap_socket(plain, server_hostname=host)
    stream.sendall(f"GET {path} HTTP/1.1\r\nHost: {server}\r\n{headers}\r\n".encode())
    return stream


def head(stream):
    """Reads the head of an answer: the code, the headers, and what of the body came with it."""
    got = b""
    while b"\r\n\r\n" not in got:
        part = stream.recv(4096)
        assert part, got
        got += part
    text, _, body = got.partition(b"\r\n\r\n")
    lines = text.decode().split("\r\n")
    return int(lines[0].split()[1]), {k.lower(): v for k, v in (line.split(": ", 1) for line in lines[1:])}, body


def slow_watchers():
    connection = http.client.HTTPSConnection(host, int(port), context=ADMIN)

    def send(method, path, body):
        connection.request(method, path, json.dumps(body), {"Content-Type": "application/json"})
        answer = connection.getresponse()
        text = answer.read()
        assert answer.status in (200, 201), (answer.status, text[:300])
        return json.loads(text)

    def config_map(name, fill):
        return {"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": name}, "data": {"a": fill * SIZE}}

    for n in range(OBJECTS):
        last = send("POST", CONFIGMAPS, config_map(f"slow-{n}", "a"))
    version = last["metadata"]["resourceVersion"]
    path = f"{CONFIGMAPS}?watch=1&resourceVersion={version}"
    watches = [open_watch(path, ADMIN, buffer=65536) for _ in range(SLOW)]
    time.sleep(1)
    before, highest = resident(), 0
    for n in range(CHANGES):
        send("PUT", f"{CONFIGMAPS}/slow-{n % OBJECTS}", config_map(f"slow-{n % OBJECTS}", "abcdefgh"[n % 8]))
        if n % 50 == 0:
            highest = max(highest, resident())
    highest = max(highest, resident())
    print(
        f"{SLOW} watchers that do not read, {CHANGES} changes of {SIZE} bytes: "
        f"{before / 1e6:.0f} MB resident before, at most {highest / 1e6:.0f} MB"
    )
    assert highest - before < BOUND, f"{(highest - before) / 1e6:.0f} MB more are resident"

    # What it reads at last are some events, in order, and then that it has missed others.
    code, _, got = head(watches[0])
    assert code == 200, code
    watches[0].settimeout(20)
    while part := watches[0].recv(1 << 20):
        got += part
        if got.endswith(b"0\r\n\r\n"):
            break
    events = [json.loads(line) for line in unchunked(got).splitlines()]
    assert len(events) > 1, events
    versions = [int(event["object"]["metadata"]["resourceVersion"]) for event in events[:-1]]
    assert versions == sorted(set(versions)) and versions[0] > int(version), versions
    status = events[-1]
    assert status["type"] == "ERROR" and status["object"]["kind"] == "Status", status
    assert status["object"]["code"] == 410 and status["object"]["reason"] == "Expired", status
    print(f"one that read at last got {len(versions)} events, and 410 in the place of the others")
    for watch in watches:
        watch.close()


def unchunked(data):
    whole = b""
    while data:
        size, _, rest = data.partition(b"\r\n")
        length = int(size, 16)
        whole, data = whole + rest[:length], rest[length + 2 :]
        if length == 0:
            break
    return whole


def too_many_watches():
    alice = "Authorization: Bearer secret-of-alice\r\n"
    path = f"{CONFIGMAPS}?watch=1"
    watches = []
    for _ in range(5):
        watches.append(open_watch(path, ANYBODY, alice))
        assert head(watches[-1])[0] == 200
    code, headers, body = head(open_watch(path, ANYBODY, alice + "Accept: application/json\r\n"))
    status = json.loads(body)
    assert code == 429 and int(headers["retry-after"]) > 0, (code, headers)
    assert status["kind"] == "Status" and status["reason"] == "TooManyRequests" and status["code"] == 429, status
    assert "alice" in status["message"] and "5" in status["message"], status
    administrators = [open_watch(path, ADMIN) for _ in range(10)]
    assert all(head(watch)[0] == 200 for watch in administrators), "an administrator is not bounded"
    watches.pop().close()
    for _ in range(50):
        code = head(open_watch(path, ANYBODY, alice))[0]
        if code == 200:
            break
        time.sleep(0.1)
    assert code == 200, "a watch that was closed still counts"
    print("the sixth watch of one user was answered with 429, and was taken once another was closed")


too_many_watches()
slow_watchers()
