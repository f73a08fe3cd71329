#!/usr/bin/env python3
"""A webhook server for the tests: what it answers is in the path, what it was asked is in a log, one review a line.

    server.py CERTIFICATE KEY LOG ADDRESS:PORT...

  /allow, /deny, /deny-code, /deny-bare   a verdict
  /warn                                   allowed, with a warning and an audit annotation
  /patch/BASE64URL                        allowed, with this JSON patch
  /patch-if/LABEL/BASE64URL               the same for objects that have the label
  /beta                                   allowed, in v1beta1, whatever the uid
  /slow                                   answers after four seconds
  /garbage, /empty, /other-uid, /no-type  answers that do not count
  /code/CODE                              no review at all
"""
import base64
import http.server
import json
import ssl
import sys
import threading
import time

LOCK = threading.Lock()


def unpack(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        path, _, query = self.path.partition("?")
        review = json.loads(body)
        with LOCK, open(LOG, "a") as log:
            print(json.dumps({"path": path, "query": query, "review": review}), file=log, flush=True)
        request = review["request"]
        response = {"uid": request["uid"], "allowed": True}
        answer = {"apiVersion": review["apiVersion"], "kind": "AdmissionReview", "response": response}
        parts = path.strip("/").split("/")
        what = parts[0]
        if what == "deny":
            response.update(allowed=False, status={"message": "the webhook says no"})
        elif what == "deny-code":
            response.update(allowed=False, status={"message": "too much", "reason": "Gone", "code": 410})
        elif what == "deny-bare":
            response.update(allowed=False)
        elif what == "warn":
            response.update(warnings=["a word from the webhook"], auditAnnotations={"seen": "yes"})
        elif what == "patch":
            response.update(patchType="JSONPatch", patch=base64.b64encode(unpack(parts[1])).decode())
        elif what == "patch-if":
            labels = (request["object"] or {}).get("metadata", {}).get("labels", {})
            if parts[1] in labels:
                response.update(patchType="JSONPatch", patch=base64.b64encode(unpack(parts[2])).decode())
        elif what == "beta":
            answer["apiVersion"] = "admission.k8s.io/v1beta1"
            response["uid"] = ""
        elif what == "slow":
            time.sleep(4)
        elif what == "empty":
            del answer["response"]
        elif what == "other-uid":
            response["uid"] = "another"
        elif what == "no-type":
            response.update(patch=base64.b64encode(b"[]").decode())
        text = json.dumps(answer).encode()
        if what == "garbage":
            text = b"nonsense"
        code = int(parts[1]) if what == "code" else 200
        try:
            self.send_response(code)
            self.send_header("Content-Type", "text/plain" if what == "code" else "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)
        except OSError:
            pass  # whoever asked has stopped waiting

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    def handle_error(self, *_):
        pass  # a connection that ends in the middle is what some of the tests are about


certificate, key, LOG = sys.argv[1:4]
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(certificate, key)
servers = []
for place in sys.argv[4:]:
    address, port = place.rsplit(":", 1)
    server = Server((address, int(port)), Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    servers.append(threading.Thread(target=server.serve_forever))
for thread in servers:
    thread.start()
print("ready", flush=True)
