#!/usr/bin/env bash
# A validator's module and configuration are swapped hundreds of times under a load of creates: no request fails, none is
# unpoliced, and a version that does not load leaves the one before in service.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

start_server apiserver
team_label=$("$PORTCULLIS" plugin push "$FIRST/team-label.wasm")
known_team=$("$PORTCULLIS" plugin push "$FIRST/known-team.wasm")
core_module=$("$PORTCULLIS" plugin push "$GUESTS/core-module.wasm")
plugin teams validator "$team_label" '{"match": {"resources": ["configmaps"], "namespaces": ["default"]}}'
loaded teams
python3 "$(dirname "$0")/swap.py" "$KUBECONFIG" "$team_label" "$known_team" "$core_module" "${SWAPS:-300}"
[ "$(metric 'portcullis_plugin_errors_total{plugin="teams",stage="validator",reason="NotLoaded"}')" = 0 ] || fail "calls found nothing loaded"
stop_server
echo "swap: ok"
