# What the plugin tests share. Source it after `set -euo pipefail`.
. "$(dirname "${BASH_SOURCE[0]}")/../lib/server.sh"
GUESTS=$ROOT/target/test-guests
FIRST=$ROOT/target/guests
export GUESTS FIRST PORTCULLIS

# plugin NAME STAGE SOURCE [MORE SPEC AS JSON]: applies a Plugin; SOURCE is a digest or a file.
plugin() {
    local name=$1 stage=$2 source=$3 more=${4:-"{}"} kind=file
    case $source in sha256:*) kind=digest ;; esac
    python3 - "$name" "$stage" "$kind" "$source" "$more" <<'PY' | kubectl apply -f - >/dev/null
import json, sys
name, stage, kind, source, more = sys.argv[1:]
spec = {"stage": stage, "source": {kind: source}, **json.loads(more)}
print(json.dumps({"apiVersion": "plugins.portcullis.dev/v1alpha1", "kind": "Plugin", "metadata": {"name": name}, "spec": spec}))
PY
}

# condition NAME TYPE: "STATUS REASON MESSAGE" of a Plugin's condition, of its present generation.
condition() {
    kubectl get plugin "$1" -o json | python3 -c '
import json, sys
plugin = json.load(sys.stdin)
for c in plugin.get("status", {}).get("conditions", []):
    if c["type"] == sys.argv[1] and c.get("observedGeneration") == plugin["metadata"]["generation"]:
        print(c["status"], c["reason"], c["message"])' "$2"
}
has_condition() { condition "$1" "$2" | grep -F -- "$3" >/dev/null; }
export -f condition has_condition

# loaded NAME: waits until the Plugin's present version serves
loaded() { retry 15 has_condition "$1" Loaded "True Loaded"; }

metric() { kubectl get --raw /metrics | grep -v '^#' | grep -F -- "$1" | sed 's/.* //'; }
