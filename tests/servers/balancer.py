#!/usr/bin/env python3
"""A load balancer as stands before API servers: connections go to those whose /readyz says that they are ready.

    balancer.py PORT HOST:PORT…

New connections go to the servers that were ready at the last look, in turn; what is open stays open until either side
ends it. Python's standard library only.
"""

import http.client
import itertools
import socket
import ssl
import sys
import threading
import time

# How often servers are asked, in seconds.
EVERY = 0.1

port, backends = int(sys.argv[1]), [tuple(backend.rsplit(":", 1)) for backend in sys.argv[2:]]
ready = set()
turn = itertools.count()
tls = ssl._create_unverified_context()


def look(backend):
    while True:
        try:
            asked = http.client.HTTPSConnection(backend[0], int(backend[1]), context=tls, timeout=2)
            asked.request("GET", "/readyz")
            well = asked.getresponse().status == 200
            asked.close()
        except OSError:
            well = False
        (ready.add if well else ready.discard)(backend)
        time.sleep(EVERY)


def copy(source, target):
    try:
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        # One side has gone, and so does the other.
        for side in (source, target):
            try:
                side.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


def serve(client):
    for _ in range(len(backends)):
        choice = sorted(ready)
        if not choice:
            break
        host, number = choice[next(turn) % len(choice)]
        try:
            server = socket.create_connection((host, int(number)), timeout=5)
        except OSError:
            continue
        server.settimeout(None)
        for side in (client, server):
            side.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        back = threading.Thread(target=copy, args=(server, client), daemon=True)
        back.start()
        copy(client, server)
        back.join()
        server.close()
        break
    client.close()


for backend in backends:
    threading.Thread(target=look, args=(backend,), daemon=True).start()
listener = socket.create_server(("127.0.0.1", port), backlog=128)
while True:
    connection, _ = listener.accept()
    threading.Thread(target=serve, args=(connection,), daemon=True).start()
