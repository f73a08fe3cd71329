# What the roll-out tests share. Source it after `set -euo pipefail`.
. "$(dirname "${BASH_SOURCE[0]}")/../plugins/lib.sh"

# canary SPEC AS JSON: the member `rollout` of a canary, for the last argument of `plugin`
canary() { printf '"rollout": {"type": "Canary", "canary": %s}' "$1"; }
# field NAME PATH: a field of a Plugin
field() { kubectl get plugin "$1" -o "jsonpath={$2}"; }
field_is() { [ "$(field "$1" "$2")" = "$3" ]; }
export -f field field_is
# becomes NAME PATH VALUE: waits for it
becomes() { retry 20 field_is "$1" "$2" "$3"; }
push() { "$PORTCULLIS" plugin push "$1"; }
# event PLUGIN REASON: whether there is an Event about it
event() { kubectl get events -n default -o json | python3 -c '
import json, sys
name, reason = sys.argv[1:]
sys.exit(not any(e["involvedObject"]["kind"] == "Plugin" and e["involvedObject"]["name"] == name and e["reason"] == reason
    for e in json.load(sys.stdin)["items"]))' "$1" "$2"; }
export -f event
# make N PREFIX [NAMESPACE]: creates ConfigMaps, and says which were let in
make() {
    local n
    for n in $(seq 1 "$1"); do
        kubectl create configmap "$2-$n" -n "${3:-default}" >/dev/null 2>&1 && echo "$2-$n" || true
    done
}
# audited PYTHON: whether the audit log $LOG has an event `e` for which the expression holds
audited() {
    python3 - "$LOG" "$1" <<'PY'
import json, sys
for line in open(sys.argv[1]):
    e = json.loads(line)
    ref, notes = e.get("objectRef", {}), e.get("annotations", {})
    decision = lambda plugin: json.loads(notes.get("decision.plugins.portcullis.dev/" + plugin, "{}"))
    if eval(f"({sys.argv[2]})"):
        sys.exit(0)
sys.exit(1)
PY
}
export -f audited
