#!/usr/bin/env bash
# The behaviour corpus against `portcullis apiserver`, where its folder is present. Every step has to agree at level
# `reason` but for those in tests/corpus/differences.txt, which says why they do not.
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

start_server apiserver
admin_kubeconfig
say "replaying (some minutes)"
python3 "$CORPUS/replay.py" check --kubeconfig "$WORK/admin.kubeconfig" "$CORPUS/scenarios" --level reason --quiet \
    --jobs 4 --json "$WORK/corpus.json" >"$WORK/corpus.txt" 2>&1 || true
tail -n 30 "$WORK/corpus.txt"
python3 "$HERE/compare.py" "$WORK/corpus.json" "$HERE/differences.txt"
