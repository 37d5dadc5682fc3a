#!/bin/sh
# Weighs the parcels of a delivery, and knows nothing of pipelines: PARCELS is how many there are, WORK_SECONDS how long
# the scales take, and RESULT_URL where what they show is put.
set -eu

# A container that is stopped has some seconds to clear up, and a shell that is its first process hears of it only so.
work=
trap '[ -z "$work" ] || kill "$work" 2>/dev/null || true; exit 143' TERM

: "${PARCELS:?}" "${RESULT_URL:?}"

# In the background, as a trap has to wait for what runs in the foreground.
sleep "${WORK_SECONDS:-0}" &
work=$!
wait "$work"
work=

folder=$(mktemp -d)
# Stands for the scales: each parcel has 1 to 20 kg.
awk -v parcels="$PARCELS" 'BEGIN {
    for (parcel = 1; parcel <= parcels; parcel++) kg += parcel * 7 % 20 + 1
    printf "{\"parcels\": %d, \"kg\": %d}\n", parcels, kg
}' >"$folder/result.json"
curl -fsS --retry 5 -L -T "$folder/result.json" "$RESULT_URL"
echo "weighed $PARCELS parcels"
