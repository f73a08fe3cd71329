#!/usr/bin/env bash
# Certificates by way of the API: a person's, that somebody approves, and a kubelet's, that nobody has to.
set -euo pipefail
. "$(dirname "$0")/../lib/server.sh"

# request NAME SIGNER SUBJECT USAGES [EXPIRATION]: makes a key and asks for a certificate
request() {
    openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj "$3" \
        -keyout "$WORK/$1.key" -out "$WORK/$1.csr" 2>/dev/null
    cat <<YAML
apiVersion: certificates.k8s.io/v1
kind: CertificateSigningRequest
metadata: {name: $1}
spec:
  request: $(base64 -w0 <"$WORK/$1.csr")
  signerName: $2
  expirationSeconds: ${5:-86400}
  usages: $4
YAML
}

certificate() { kubectl get csr "$1" -o jsonpath='{.status.certificate}'; }
has_certificate() { [ -n "$(certificate "$1")" ]; }
condition() { kubectl get csr "$1" -o jsonpath="{.status.conditions[?(@.type==\"$2\")].reason}"; }
has_condition() { [ "$(condition "$1" "$2")" = "$3" ]; }

start_server up --no-kubelet

say "a client's certificate is signed once somebody approved it"
request ann kubernetes.io/kube-apiserver-client /O=testers/O=readers/CN=ann '[client auth, digital signature]' 3600 |
    kubectl create -f - >/dev/null
sleep 1
has_certificate ann && fail "it was signed before it was approved"
kubectl certificate approve ann >/dev/null
retry 20 has_certificate ann
certificate ann | base64 -d >"$WORK/ann.crt"
openssl verify -CAfile "$DATA/pki/client-ca.crt" "$WORK/ann.crt" >/dev/null
openssl x509 -in "$WORK/ann.crt" -noout -text >"$WORK/ann.txt"
grep_for 'TLS Web Client Authentication' <"$WORK/ann.txt"
grep_for 'Digital Signature' <"$WORK/ann.txt"
openssl x509 -in "$WORK/ann.crt" -noout -checkend 3000 >/dev/null
if openssl x509 -in "$WORK/ann.crt" -noout -checkend 3700 >/dev/null; then fail "it lasts longer than asked for"; fi
who=$(kubectl --kubeconfig /dev/null --server "https://127.0.0.1:$PORT" --certificate-authority "$DATA/pki/ca.crt" \
    --client-certificate "$WORK/ann.crt" --client-key "$WORK/ann.key" auth whoami -o jsonpath='{.status.userInfo}')
for part in '"username":"ann"' testers readers; do
    grep_for "$part" <<<"$who" || fail "not the user that was asked for: $who"
done

say "what a signer does not give has failed"
request bob kubernetes.io/kube-apiserver-client /CN=bob '[server auth]' | kubectl create -f - >/dev/null
kubectl certificate approve bob >/dev/null
retry 20 has_condition bob Failed SignerValidationFailure

say "what was denied is not signed, nor what is for other signers"
request eve kubernetes.io/kube-apiserver-client /CN=eve '[client auth]' | kubectl create -f - >/dev/null
kubectl certificate deny eve >/dev/null
request own example.com/signer /CN=own '[client auth]' | kubectl create -f - >/dev/null
kubectl certificate approve own >/dev/null
sleep 1
has_certificate eve && fail "a denied request was signed"
has_certificate own && fail "a request for another signer was signed"

say "a kubelet gets its client certificate if it may ask for one"
kubectl create clusterrolebinding bootstrap --clusterrole=system:certificates.k8s.io:certificatesigningrequests:nodeclient \
    --group=system:bootstrappers >/dev/null
kubectl create clusterrolebinding bootstrappers --clusterrole=system:node-bootstrapper --group=system:bootstrappers >/dev/null
node() {
    request "$1" kubernetes.io/kube-apiserver-client-kubelet "/O=system:nodes/CN=system:node:$1" \
        '[client auth, digital signature]' | kubectl create --as=bootstrap --as-group="$2" --as-group=system:authenticated -f - >/dev/null
}
node node-1 system:bootstrappers
retry 20 has_condition node-1 Approved AutoApproved
retry 20 has_certificate node-1
kubectl create clusterrolebinding others --clusterrole=system:node-bootstrapper --group=others >/dev/null
node node-2 others
sleep 1
[ -z "$(condition node-2 Approved)" ] || fail "a kubelet was approved that may not ask"

stop_server
