"""A conversion webhook for CronTabs, over TLS. `webhook.py CERT KEY LOG`: prints its port, and writes a line to LOG for
each request, `<review version> <desired version> <number of objects>`. A file beside the log, `mode`, makes it
misbehave: it holds the name of a mistake."""

import http.server
import json
import os
import ssl
import sys

certificate, key, log = sys.argv[1:4]


def convert(obj, version):
    spec = obj.get("spec", {})
    if version.endswith("/v2") and "hostPort" in spec:
        host, _, port = spec.pop("hostPort").partition(":")
        spec["host"] = host
        if port:
            spec["port"] = int(port)
    elif version.endswith("/v1") and "host" in spec:
        port = spec.pop("port", None)
        spec["hostPort"] = spec.pop("host") + (f":{port}" if port is not None else "")
    obj["apiVersion"] = version
    obj["metadata"].setdefault("annotations", {})["converted"] = "yes"
    obj["metadata"]["generation"] = 999  # not the webhook's to change
    return obj


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        review = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        request = review["request"]
        version, objects = request["desiredAPIVersion"], request["objects"]
        with open(log, "a") as file:
            print(review["apiVersion"].rsplit("/", 1)[1], version.rsplit("/", 1)[1], len(objects), file=file)
        mode = os.path.join(os.path.dirname(log), "mode")
        mistake = open(mode).read().strip() if os.path.exists(mode) else ""
        response = {
            "uid": request["uid"],
            "result": {"status": "Success"},
            "convertedObjects": [convert(obj, version) for obj in objects],
        }
        if mistake == "failed":
            response = {"uid": request["uid"], "result": {"status": "Failed", "message": "not today"}}
        elif mistake == "uid":
            response["uid"] = "another"
        elif mistake == "count":
            response["convertedObjects"] = []
        elif mistake == "name":
            for obj in response["convertedObjects"]:
                obj["metadata"]["name"] = "other"
        elif mistake == "version":
            for obj in response["convertedObjects"]:
                obj["apiVersion"] = "stable.example.com/v9"
        body = json.dumps({"apiVersion": review["apiVersion"], "kind": "ConversionReview", "response": response})
        code = 500 if mistake == "500" else 200
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(certificate, key)
server.socket = context.wrap_socket(server.socket, server_side=True)
print(server.server_address[1], flush=True)
server.serve_forever()
