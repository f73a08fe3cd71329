#!/usr/bin/env bash
# What the API server does while its store cannot write: a disk that is full (a small file system of its own, where this
# process may mount one, else a bound on the size of files). Writes are refused with a Status that says that they may be
# tried again, reads are served, it is not ready; and after it was started anew with room, every acknowledged write is there.
set -euo pipefail
. "$(dirname "$0")/../lib/server.sh"

mounted=
cleanup() {
    kill -9 "${SERVER:-}" 2>/dev/null || true
    wait "${SERVER:-}" 2>/dev/null || true
    [ -z "$mounted" ] || umount "$mounted"
    rm -rf "$WORK"
}

# A request as the administrator: METHOD PATH [BODY]; the code goes to $CODE, the answer to $ANSWER.
request() {
    local data=()
    [ $# -lt 3 ] || data=(-H 'Content-Type: application/json' --data-binary "$3")
    ANSWER=$(curl -sk -A test -m 20 -w '\n%{http_code}' --cert "$WORK/client.crt" --key "$WORK/client.key" -X "$1" "${data[@]}" \
        "https://127.0.0.1:$PORT$2")
    CODE=${ANSWER##*$'\n'}
    ANSWER=${ANSWER%$'\n'*}
}

object() { printf '{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"%s"},"data":{"a":"%s"}}' "$1" "$FILLER"; }

flow() {
    local what=$1
    CONFIGMAPS=/api/v1/namespaces/default/configmaps
    FILLER=$(head -c 30000 /dev/zero | tr '\0' x)
    say "$what: written until it is full"
    local acknowledged=0
    while :; do
        request POST "$CONFIGMAPS" "$(object "full-$acknowledged")"
        [ "$CODE" = 201 ] || break
        acknowledged=$((acknowledged + 1))
        [ "$acknowledged" -lt 2000 ] || fail "it never got full"
    done
    [ "$acknowledged" -gt 10 ] || fail "only $acknowledged writes were taken: $ANSWER"

    say "writes are refused, reads are served ($acknowledged objects)"
    for verb in "POST $CONFIGMAPS" "DELETE $CONFIGMAPS/full-0" "PUT $CONFIGMAPS/full-1"; do
        case $verb in
            POST*) request ${verb% *} "${verb#* }" "$(object another)" ;;
            PUT*) request ${verb% *} "${verb#* }" "$(object full-1 | sed 's/"a":"x/"a":"y/')" ;;
            *) request ${verb% *} "${verb#* }" ;;
        esac
        case $CODE in 500 | 503 | 504) ;; *) fail "$verb was answered with $CODE: ${ANSWER:0:300}" ;; esac
        python3 - "$verb" "$CODE" "$ANSWER" <<'P'
import json, sys
verb, code, answer = sys.argv[1:]
status = json.loads(answer)
assert status["kind"] == "Status" and status["status"] == "Failure" and status["code"] == int(code), (verb, status)
assert status["reason"] and status["message"] and status["details"]["retryAfterSeconds"] > 0, (verb, status)
P
    done
    request GET "$CONFIGMAPS/full-0"
    [ "$CODE" = 200 ] || fail "a read was answered with $CODE: $ANSWER"
    request GET "$CONFIGMAPS?limit=5000"
    [ "$(grep -o '"name":"full-[0-9]*"' <<<"$ANSWER" | sort -u | wc -l)" = "$acknowledged" ] || fail "the list is not whole ($CODE): ${ANSWER:0:300}"
    request GET "$CONFIGMAPS?watch=1&resourceVersion=0&timeoutSeconds=1"
    [ "$CODE" = 200 ] || fail "a watch was answered with $CODE"
    for probe in readyz livez; do
        request GET "/$probe?verbose"
        [ "$CODE" = 500 ] && grep_for '^\[-\]etcd failed' <<<"$ANSWER" || fail "/$probe says $CODE: $ANSWER"
    done
    ACKNOWLEDGED=$acknowledged
}

# After a start with room for more.
after() {
    request GET "$CONFIGMAPS?limit=5000"
    local there
    there=$(grep -o '"name":"full-[0-9]*"' <<<"$ANSWER" | sort -u | wc -l)
    # The one that failed may be there, and is whole then.
    [ "$there" = "$ACKNOWLEDGED" ] || [ "$there" = $((ACKNOWLEDGED + 1)) ] || fail "$there of $ACKNOWLEDGED are there"
    [ "$(grep -o "\"a\":\"$FILLER\"" <<<"$ANSWER" | wc -l)" = "$there" ] || fail "one is half there"
    request POST "$CONFIGMAPS" "$(object "after-$RANDOM")"
    [ "$CODE" = 201 ] || fail "a write with room was answered with $CODE: $ANSWER"
    request GET /readyz
    [ "$CODE" = 200 ] || fail "it is not ready with room"
}

ROLE=apiserver FLAGS=()
WORK=$(mktemp -d)
trap cleanup EXIT
DATA=$WORK/data
PORT=$(free_port)
certificates() {
    export KUBECONFIG=$DATA/admin.kubeconfig
    for part in certificate key; do
        kubectl config view --raw -o "jsonpath={.users[0].user.client-$part-data}" | base64 -d >"$WORK/client.$part"
    done
    mv "$WORK/client.certificate" "$WORK/client.crt"
}

# First without a bound, so that what the server makes at its start is there.
launch
certificates
kill -9 "$SERVER"; wait "$SERVER" 2>/dev/null || true
if mkdir "$WORK/small" && mount -t tmpfs -o size=12m none "$WORK/small" 2>/dev/null; then
    mounted=$WORK/small
    cp -a "$DATA/store/." "$mounted/"
    rm -rf "$DATA/store"
    ln -s "$mounted" "$DATA/store"
    launch
    flow "a full disk"
    kill -9 "$SERVER"; wait "$SERVER" 2>/dev/null || true
    say "full when it starts: it says so, and loses nothing"
    "$PORTCULLIS" apiserver --data-dir "$DATA" --bind "127.0.0.1:$PORT" >"$WORK/full.log" 2>&1 &
    SERVER=$!
    for _ in $(seq 1 100); do
        kill -0 "$SERVER" 2>/dev/null || break
        request GET /livez || true
        [ "${CODE:-}" != 500 ] || break
        sleep 0.1
    done
    kill -9 "$SERVER" 2>/dev/null || true; wait "$SERVER" 2>/dev/null || true
    if grep_for panicked "$WORK/full.log"; then fail "it panicked: $(cat "$WORK/full.log")"; fi
    mount -o remount,size=64m "$mounted"
    launch
    after
    kill -9 "$SERVER"; wait "$SERVER" 2>/dev/null || true
    umount "$mounted"
    mounted=
    rm -rf "$DATA"
else
    echo "SKIPPED: no file system can be mounted here (root does it); files are bounded in size instead"
    rm -rf "$DATA"
fi

launch
certificates
kill -9 "$SERVER"; wait "$SERVER" 2>/dev/null || true
# In units of 1,024 bytes; the signal is ignored so that the write fails.
ORIGINAL=$PORTCULLIS
cat >"$WORK/bounded" <<B
#!/usr/bin/env bash
trap '' XFSZ
ulimit -f 6000
exec "$ORIGINAL" "\$@"
B
chmod +x "$WORK/bounded"
PORTCULLIS=$WORK/bounded
launch
flow "a file that may not grow"
kill -9 "$SERVER"; wait "$SERVER" 2>/dev/null || true
PORTCULLIS=$ORIGINAL
launch
after

say "a byte that flipped: it is reported, and nothing is served"
kill -9 "$SERVER"; wait "$SERVER" 2>/dev/null || true
log=$(ls "$DATA"/store/wal-* | head -n 1)
python3 - "$log" <<'P'
import sys
with open(sys.argv[1], "r+b") as log:
    log.seek(200_000); byte = log.read(1)[0]
    log.seek(200_000); log.write(bytes([byte ^ 0x40]))
P
if timeout 30 "$PORTCULLIS" apiserver --data-dir "$DATA" --bind "127.0.0.1:$PORT" >"$WORK/flipped.log" 2>&1; then
    fail "it started with a damaged log"
fi
grep_for 'stored data is corrupt: .*wal-' "$WORK/flipped.log" || fail "it does not say what is wrong: $(cat "$WORK/flipped.log")"
SERVER=
echo "disk: ok"
