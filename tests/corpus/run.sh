#!/usr/bin/env bash
# The behaviour corpus against `portcullis apiserver`, where its folder is present. Every step has to agree at level
# `reason` but for those in differences.txt, and at level `full` but for what differences-full.txt lists; both say why.
set -euo pipefail
. "$(dirname "$0")/../lib/server.sh"

HERE=$(cd "$(dirname "$0")" && pwd)
CORPUS=${PORTCULLIS_SHARED:-$ROOT/../shared}/behaviour
if [ ! -x "$CORPUS/replay.py" ]; then
    echo "the behaviour corpus is not here: skipped"
    exit 0
fi

# The corpus was recorded by a user `admin` with a certificate, whose name is in many answers.
admin_kubeconfig() {
    openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj "/O=system:masters/CN=admin" \
        -keyout "$WORK/admin.key" -out "$WORK/admin.csr" 2>/dev/null
    printf 'extendedKeyUsage=clientAuth\n' >"$WORK/admin.ext"
    openssl x509 -req -extfile "$WORK/admin.ext" -in "$WORK/admin.csr" -CA "$DATA/pki/client-ca.crt" -CAkey "$DATA/pki/client-ca.key" \
        -CAcreateserial -days 1 -out "$WORK/admin.crt" 2>/dev/null
    sed -E -e "s|client-certificate-data: .*|client-certificate: $WORK/admin.crt|" \
        -e "s|client-key-data: .*|client-key: $WORK/admin.key|" "$KUBECONFIG" >"$WORK/admin.kubeconfig"
}

# Replays at a level, and compares what differs with what is known to.
replay() {
    say "replaying at level $1 (a minute or two)"
    python3 "$CORPUS/replay.py" check --kubeconfig "$WORK/admin.kubeconfig" "$CORPUS/scenarios" --level "$1" --quiet \
        --jobs 4 --json "$WORK/corpus.json" >"$WORK/corpus.txt" 2>&1 || true
    tail -n 20 "$WORK/corpus.txt"
    python3 "$HERE/compare.py" "$WORK/corpus.json" "$HERE/$2"
}

# The reference of the recording signed with an RSA key, as the key of an installation usually is.
start() {
    openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out "$KEYS/sa.key" 2>/dev/null
    start_server apiserver --service-account-signing-key-file "$KEYS/sa.key"
    admin_kubeconfig
}

KEYS=$(mktemp -d)
start
rm -rf "$KEYS"
replay reason differences.txt
# Some answers depend on what was stored before, so that each level has a server of its own.
stop_server
KEYS=$(mktemp -d)
start
rm -rf "$KEYS"
replay full differences-full.txt
stop_server
