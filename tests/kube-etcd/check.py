"""The steps of run.sh that look into objects.

check.py create           makes an object of every resource, and looks for it at its key in etcd
check.py swap             puts each into etcd as kube-apiserver stores it: protobuf where the kind has it. No server may run
check.py read             reads, lists and watches what is there now, and changes it
check.py vectors FOLDER   puts the recorded objects of a folder into etcd, as far as their kinds are stored. No server may run
check.py read-vectors     reads what `vectors` has put there

What is remembered from one step to the next is in the folder $STATE; etcd is at $ETCD_URL.
"""

import base64
import json
import os
import pathlib
import re
import ssl
import subprocess
import sys
import urllib.error
import urllib.request

import yaml

STATE = pathlib.Path(os.environ["STATE"])
HERE = pathlib.Path(__file__).parent
PROTOBUF = "application/vnd.kubernetes.protobuf"
NAMESPACE = "keys"
# What a recorded object cannot be in any cluster: their strings are made up, and some have a form.
UNLIKE = {"core.v1.Event"}


def fail(why):
    sys.exit(f"FAILED: {why}")


class Api:
    """A client with the administrator's certificate."""

    def __init__(self):
        config = yaml.safe_load(open(os.environ["KUBECONFIG"]))
        cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
        files = {}
        for name, data in {
            "ca": cluster["certificate-authority-data"],
            "cert": user["client-certificate-data"],
            "key": user["client-key-data"],
        }.items():
            files[name] = STATE / name
            files[name].write_bytes(base64.b64decode(data))
        self.server = cluster["server"]
        self.context = ssl.create_default_context(cafile=files["ca"])
        self.context.load_cert_chain(files["cert"], files["key"])
        self.resources = {}

    def open(self, method, path, body=None, accept="application/json", kind="application/json"):
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        headers = {"Accept": accept, "Content-Type": kind}
        request = urllib.request.Request(self.server + path, data, headers, method=method)
        return urllib.request.urlopen(request, context=self.context, timeout=30)

    def call(self, method, path, body=None, **more):
        try:
            with self.open(method, path, body, **more) as answer:
                return answer.read()
        except urllib.error.HTTPError as error:
            fail(f"{method} {path}: {error.code} {error.read().decode(errors='replace')}")

    def json(self, *arguments, **more):
        return json.loads(self.call(*arguments, **more))

    def resource(self, version, kind):
        """The plural of a kind, and whether it is in namespaces; None if it is not served."""
        if version not in self.resources:
            base = f"/apis/{version}" if "/" in version else f"/api/{version}"
            try:
                with self.open("GET", base) as answer:
                    found = json.load(answer)["resources"]
            except urllib.error.HTTPError:
                found = []
            self.resources[version] = {it["kind"]: it for it in found if "/" not in it["name"]}
        return self.resources[version].get(kind)

    def path(self, version, kind, namespace=NAMESPACE):
        found = self.resource(version, kind)
        if not found:
            return None
        base = f"/apis/{version}" if "/" in version else f"/api/{version}"
        inner = f"/namespaces/{namespace}" if found["namespaced"] else ""
        return f"{base}{inner}/{found['name']}"


def etcdctl(*arguments, stdin=None):
    command = ["etcdctl", "--endpoints", os.environ["ETCD_URL"], *arguments]
    environment = {**os.environ, "ETCDCTL_API": "3"}
    return subprocess.run(command, input=stdin, env=environment, check=True, stdout=subprocess.PIPE).stdout


def stored(key):
    found = json.loads(etcdctl("get", key, "-w", "json"))
    return base64.b64decode(found["kvs"][0]["value"]) if found.get("kvs") else None


def store(key, value):
    etcdctl("put", key, stdin=value)


def items():
    """The objects of resources.yaml, with what is written beside them."""
    for item in yaml.safe_load(open(HERE / "resources.yaml")):
        notes = {name: item.pop(name) for name in ("key", "stored", "csr", "bundle") if name in item}
        notes["key"] = "/registry/" + notes["key"]
        item["metadata"] = {"name": notes["key"].rsplit("/", 1)[1]}
        if notes.get("csr"):
            key = subprocess.run(["openssl", "genrsa", "2048"], check=True, capture_output=True).stdout
            command = ["openssl", "req", "-new", "-subj", "/CN=a", "-key", "/dev/stdin"]
            request = subprocess.run(command, input=key, check=True, capture_output=True).stdout
            item["spec"]["request"] = base64.b64encode(request).decode()
        if notes.get("bundle"):
            item["spec"]["trustBundle"] = (STATE / "ca").read_text()
        yield notes, item


def settled(obj):
    """An object without what a controller may change under the test's hands, and without its revision."""
    obj = json.loads(json.dumps(obj))
    obj["metadata"].pop("resourceVersion", None)
    if obj["kind"] in ("CustomResourceDefinition", "APIService"):
        obj.pop("status", None)
    return obj


def create():
    api = Api()
    api.call("POST", "/api/v1/namespaces", {"kind": "Namespace", "apiVersion": "v1", "metadata": {"name": NAMESPACE}})
    account = {"kind": "ServiceAccount", "apiVersion": "v1", "metadata": {"name": "default"}}
    api.call("POST", f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts", account)
    seen, refused = [], []
    for notes, item in items():
        version, kind, name = item["apiVersion"], item["kind"], item["metadata"]["name"]
        for _ in range(50):
            path = api.path(version, kind)
            if path:
                break
            api.resources.pop(version, None)
            subprocess.run(["sleep", "0.2"], check=True)
        else:
            fail(f"{kind} of {version} is not served")
        try:
            api.open("POST", path, item).close()
        except urllib.error.HTTPError as error:
            refused.append(f"{kind}: {error.read().decode()}")
            continue
        value = stored(notes["key"])
        if not value:
            fail(f"{kind} {name} is not at {notes['key']}")
        found = json.loads(value)
        wanted = notes.get("stored", version)
        if found["apiVersion"] != wanted or found["kind"] != kind:
            fail(f"{kind} is stored as {found['apiVersion']}, and not as {wanted}")
        extra = {"resourceVersion", "selfLink"} & found["metadata"].keys()
        if extra:
            fail(f"{kind} is stored with {extra}")
        if not value.startswith(b'{"kind":'):
            fail(f"{kind} is not stored in the form of its own")
        seen.append({"key": notes["key"], "path": f"{path}/{name}", "list": path})
    if refused:
        fail("\n".join(refused))
    found = json.loads(etcdctl("get", "/registry/events/keys/a", "-w", "json"))["kvs"][0]
    if not found.get("lease"):
        fail("an event is stored without a lease")
    for it in seen:
        it["json"] = api.json("GET", it["path"])
        answer = api.call("GET", it["path"], accept=f"{PROTOBUF},application/json")
        it["protobuf"] = base64.b64encode(answer).decode() if answer.startswith(b"k8s\0") else None
    counted = sum(it["protobuf"] is not None for it in seen)
    print(f"{len(seen)} resources are at their keys, {counted} of them have protobuf")
    (STATE / "seen.json").write_text(json.dumps(seen))


def definition_as_v1beta1(value):
    """A definition as kube-apiserver stores it: in the older version, with what all versions have in common above them."""
    spec = value["spec"]
    spec["version"] = spec["versions"][0]["name"]
    spec["validation"] = spec["versions"][0].pop("schema")
    value["apiVersion"] = "apiextensions.k8s.io/v1beta1"
    return value


def swap():
    seen = json.loads((STATE / "seen.json").read_text())
    for it in seen:
        value = json.loads(stored(it["key"]))
        if it["json"]["kind"] == "CustomResourceDefinition":
            store(it["key"], json.dumps(definition_as_v1beta1(value)).encode() + b"\n")
        elif it["protobuf"] and value["apiVersion"] == it["json"]["apiVersion"]:
            store(it["key"], base64.b64decode(it["protobuf"]))
        else:
            # As kube-apiserver's JSON: with a line's end, and in another order.
            store(it["key"], json.dumps(dict(sorted(value.items()))).encode() + b"\n")


def read():
    api = Api()
    seen = json.loads((STATE / "seen.json").read_text())
    for it in seen:
        path, before = it["path"], it["json"]
        found = api.json("GET", path)
        if settled(found) != settled(before):
            fail(f"{path} reads as\n{json.dumps(found)}\nand was\n{json.dumps(before)}")
        listed = api.json("GET", it["list"])
        names = [item["metadata"]["name"] for item in listed["items"]]
        if found["metadata"]["name"] not in names:
            fail(f"{path} is not in its list")
        version = listed["metadata"]["resourceVersion"]
        query = f"?watch=1&resourceVersion={version}&timeoutSeconds=20"
        with api.open("GET", it["list"] + query) as watch:
            patch = {"metadata": {"annotations": {"keys.example.com/changed": "yes"}}}
            changed = api.json("PATCH", path, patch, kind="application/merge-patch+json")
            for line in watch:
                event = json.loads(line)
                if event["object"]["metadata"]["name"] == found["metadata"]["name"]:
                    break
        got = event["object"]["metadata"].get("annotations", {})
        if event["type"] != "MODIFIED" or got.get("keys.example.com/changed") != "yes":
            fail(f"the watch of {path} saw {event}")
        if changed["metadata"]["uid"] != before["metadata"]["uid"]:
            fail(f"{path} is another object now")
        value = stored(it["key"])
        if not value.startswith(b'{"kind":'):
            fail(f"{path} is stored as {value[:40]}")
    print(f"{len(seen)} objects of another server's were read, listed, watched and changed")


def vectors(folder):
    keys = {}
    for line in open(HERE / "../../host/machinery/facts/resources.tsv"):
        line = line.rstrip("\n")
        if line.startswith("#") or not line:
            continue
        columns = line.lstrip(">").split("\t")
        if line.startswith(">"):
            group, version = columns[:2]
            continue
        plural, kind, _, scope = columns[:4]
        flags, prefix, other = columns[8:11]
        other = other.split("#")[0]
        own = f"{group}/{version}" if group else version
        if "x" not in flags and other in ("", own):
            keys[f"{group or 'core'}.{version}.{kind}"] = (own, kind, prefix or plural, scope)
    seen = []
    for path in sorted(pathlib.Path(folder).glob("*.pb")):
        name = path.name.removesuffix(".pb")
        if name not in keys or name in UNLIKE:
            continue
        version, kind, prefix, scope = keys[name]
        place = json.loads(path.with_suffix(".json").read_text())["metadata"]
        namespace = f"/{place['namespace']}" if scope == "N" else ""
        key = f"/registry/{prefix}{namespace}/{place['name']}"
        store(key, path.read_bytes())
        namespace = place["namespace"] if scope == "N" else ""
        seen.append({"key": key, "version": version, "kind": kind, "name": place["name"], "namespace": namespace, "file": str(path)})
    (STATE / "vectors.json").write_text(json.dumps(seen))


def read_vectors():
    api = Api()
    seen, read, not_served = json.loads((STATE / "vectors.json").read_text()), 0, []
    strange = []
    for it in seen:
        path = api.path(it["version"], it["kind"], it["namespace"])
        if not path:
            not_served.append(it["kind"])
            continue
        found = api.json("GET", f"{path}/{it['name']}")
        wanted = json.loads(pathlib.Path(it["file"]).with_suffix(".json").read_text())
        revision = found["metadata"].pop("resourceVersion")
        if not re.fullmatch("[1-9][0-9]*", revision):
            fail(f"{path} has the resourceVersion {revision}")
        for name in ("resourceVersion", "selfLink"):
            wanted["metadata"].pop(name, None)
        missing = [it for it in differences(wanted, found) if not follows(path, it)]
        if missing:
            strange.append(f"{path}/{it['name']}: {missing[:5]}")
        listed = api.json("GET", path)["items"]
        if it["name"] not in [item["metadata"]["name"] for item in listed]:
            fail(f"{path} lacks {it['name']}")
        read += 1
    if strange:
        fail("\n".join(strange))
    print(f"{read} recorded objects were read from protobuf; not served: {not_served}")


# What is another thing when it is read than what the vector says, since every field of a vector has a value of its own,
# whatever it says together with others.
FOLLOWS = (
    # Another name of serviceAccountName, which it follows.
    ("", ".serviceAccount is"),
    # The first of podCIDRs is podCIDR.
    ("/nodes", ".spec.podCIDRs[0] is"),
    # It goes into data when it is written, and is never read.
    ("/secrets", ".stringData is missing"),
    # Only services that keep to clients by their addresses have it.
    ("/services", ".spec.sessionAffinityConfig is missing"),
    # Flow control says in a condition whether the level is there.
    ("/flowschemas", ".metadata.namespace is missing"),
    ("/flowschemas", ".metadata.managedFields is"),
    ("/flowschemas", ".status.conditions is"),
    # The rules of a role that aggregates others are theirs.
    ("/clusterroles", ".rules is"),
)


def follows(path, difference):
    return any(path.split("?")[0].endswith(end) and begin in difference for end, begin in FOLLOWS)


def differences(wanted, found, path=""):
    """Where something that is wanted is not found. Defaults may have come in."""
    if isinstance(wanted, dict) and isinstance(found, dict):
        for key, value in wanted.items():
            if key in found:
                yield from differences(value, found[key], f"{path}.{key}")
            elif value not in (None, {}, [], "", 0, False):
                yield f"{path}.{key} is missing"
    elif isinstance(wanted, list) and isinstance(found, list) and len(wanted) == len(found):
        for at, (one, other) in enumerate(zip(wanted, found)):
            yield from differences(one, other, f"{path}[{at}]")
    elif wanted != found:
        yield f"{path} is {found!r} and not {wanted!r}"


{"create": create, "swap": swap, "read": read, "vectors": vectors, "read-vectors": read_vectors}[sys.argv[1]](*sys.argv[2:])
