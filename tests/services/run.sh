#!/usr/bin/env bash
# Addresses and ports of services on a server with two families: who gets what, what becomes of it, and that nothing leaks.
set -euo pipefail
. "$(dirname "$0")/../lib/server.sh"

V4=10.97.0.0/24 V6=fd97::/112
start_server apiserver --service-cluster-ip-range "$V4,$V6"

service() { # NAME SPEC
    printf '{"kind":"Service","apiVersion":"v1","metadata":{"name":"%s"},"spec":%s}' "$1" "$2"
}
create() { service "$@" | kubectl create -f - >/dev/null; }
of() { kubectl get service "$1" -o jsonpath="{.spec.$2}"; }
addresses() { kubectl get ipaddresses -o jsonpath='{range .items[*]}{.spec.parentRef.name}={.metadata.name} {end}'; }
is() { # WHAT EXPECTED FOUND
    [ "$2" = "$3" ] || fail "$1: expected «$2», got «$3»"
}
PORTS='"ports":[{"port":80}],"selector":{"a":"b"}'

say "one family, two, and a choice"
create single "{$PORTS}"
is families '["IPv4"] SingleStack' "$(of single ipFamilies) $(of single ipFamilyPolicy)"
create six "{$PORTS,\"ipFamilies\":[\"IPv6\"]}"
[[ $(of six clusterIP) == fd97::* ]] || fail "not an address of the other family: $(of six clusterIP)"
create both "{$PORTS,\"ipFamilyPolicy\":\"RequireDualStack\"}"
is families '["IPv4","IPv6"]' "$(of both ipFamilies)"
[[ $(of both clusterIPs) == \[\"10.97.0.*\",\"fd97::*\"\] ]] || fail "not two addresses: $(of both clusterIPs)"
create turned "{$PORTS,\"ipFamilyPolicy\":\"PreferDualStack\",\"ipFamilies\":[\"IPv6\"]}"
is families '["IPv6","IPv4"]' "$(of turned ipFamilies)"
create endless '{"clusterIP":"None","ports":[{"port":80}]}'
is "without a selector" '["None"] ["IPv4","IPv6"] RequireDualStack' \
    "$(of endless clusterIPs) $(of endless ipFamilies) $(of endless ipFamilyPolicy)"

say "addresses are objects"
for name in single six both turned; do
    for ip in $(of "$name" clusterIPs | tr -d '[]"' | tr , ' '); do
        is "the parent of $ip" "$name" "$(kubectl get ipaddress "$ip" -o jsonpath='{.spec.parentRef.name}')"
    done
done

say "a second address comes and goes"
kubectl patch service single --type merge -p '{"spec":{"ipFamilyPolicy":"PreferDualStack"}}' >/dev/null
second=$(of single 'clusterIPs[1]')
[[ $second == fd97::* ]] || fail "no second address: $(of single clusterIPs)"
expect_error "must be 'SingleStack' to release the secondary IP family" \
    kubectl patch service single --type merge -p '{"spec":{"ipFamilies":["IPv4"]}}'
kubectl patch service single --type merge -p '{"spec":{"ipFamilyPolicy":"SingleStack"}}' >/dev/null
is families '["IPv4"]' "$(of single ipFamilies)"
expect_error 'not found' kubectl get ipaddress "$second"

say "what cannot be had is refused"
taken=$(of single clusterIP)
expect_error 'provided IP is already allocated' create other "{$PORTS,\"clusterIP\":\"$taken\"}"
expect_error 'the provided network does not match the current range' create other "{$PORTS,\"clusterIP\":\"10.98.0.1\"}"
expect_error "must be 'RequireDualStack' or 'PreferDualStack' when multiple IP families are specified" \
    create other "{$PORTS,\"ipFamilyPolicy\":\"SingleStack\",\"ipFamilies\":[\"IPv4\",\"IPv6\"]}"

say "ports of one number share a node port, and keep it"
create ports '{"type":"NodePort","selector":{"a":"b"},"ports":[{"name":"t","port":53},{"name":"u","port":53,"protocol":"UDP"}]}'
is "the node ports" "$(of ports 'ports[0].nodePort')" "$(of ports 'ports[1].nodePort')"
before=$(of ports 'ports[0].nodePort')
kubectl patch service ports --type json -p '[{"op":"remove","path":"/spec/ports/1"},{"op":"remove","path":"/spec/ports/0/nodePort"}]' >/dev/null
is "the node port after a client left it out" "$before" "$(of ports 'ports[0].nodePort')"
expect_error 'provided port is already allocated' create other "{\"type\":\"NodePort\",\"ports\":[{\"port\":1,\"nodePort\":$before}]}"
expect_error 'The range of valid ports is 30000-32767' create other '{"type":"NodePort","ports":[{"port":1,"nodePort":80}]}'
kubectl patch service ports --type merge -p '{"spec":{"type":"ClusterIP"}}' >/dev/null
is "the node port of a cluster IP" '' "$(of ports 'ports[0].nodePort')"
create other "{\"type\":\"NodePort\",\"ports\":[{\"port\":1,\"nodePort\":$before}]}"
kubectl delete service other >/dev/null

say "a further range is used once the first is full"
kubectl create -f - >/dev/null <<'YAML'
apiVersion: networking.k8s.io/v1
kind: ServiceCIDR
metadata: {name: more}
spec: {cidrs: [10.97.1.0/28]}
YAML
# 254 and 14 addresses, of which `kubernetes`, single, both, turned and ports have five.
for i in $(seq 1 263); do
    service "many-$i" "{$PORTS}"
    printf '\n'
done | kubectl create -f - >/dev/null
kubectl get ipaddresses -o name | grep_for 'ipaddress.networking.k8s.io/10.97.1.' || fail "the second range is not used"
expect_error 'range is full' create last "{$PORTS}"

say "nothing is left of services that are gone"
kubectl get services -o name | grep -v /kubernetes | xargs kubectl delete >/dev/null
is "the addresses" "kubernetes=10.97.0.1 " "$(addresses | sed -E 's/^ *//')"

stop_server
