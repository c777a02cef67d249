#!/bin/sh
# A run with curl alone, followed to its end. Usage: TRAINYARD_URL=... TRAINYARD_TOKEN=... curl.sh OWNER/NAME RUN.json
# RUN.json: {"name": "lenet5", "spec": {"boot_file": "train.py", "framework": "mindspore-cpu", "flavor": "cpu"}}
set -eu
project=$1
request=$2
limit=$(($(date +%s) + ${LIMIT_SECONDS:-7200}))

ask() { curl --silent --show-error --fail-with-body --max-time 40 -H "Authorization: Bearer $TRAINYARD_TOKEN" "$@"; }
field() { python3 -c 'import json, sys; print(json.load(sys.stdin)[sys.argv[1]])' "$1"; }

# The same key again gives the same run, so this may be repeated after a lost connection.
key=${IDEMPOTENCY_KEY:-$(cksum <"$request" | tr ' ' -)-$(date +%Y%m%d%H)}
run=$(ask -H "Idempotency-Key: $key" -H 'Content-Type: application/json' --data @"$request" \
  "$TRAINYARD_URL/v1/projects/$project/runs" | field id)
echo "$run"
while state=$(ask "$TRAINYARD_URL/v1/runs/$run") && [ "$(printf %s "$state" | field final)" != True ]; do
  [ "$(date +%s)" -lt "$limit" ] || { echo "still $(printf %s "$state" | field state)" >&2; exit 1; }
  sleep 5
done
ask "$TRAINYARD_URL/v1/runs/$run/log?tail=20" | field text
[ "$(printf %s "$state" | field state)" = succeeded ]
