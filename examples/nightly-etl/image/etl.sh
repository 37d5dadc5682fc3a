#!/bin/sh
# Sums up the orders of a day, as any job may that was there before the pipeline: it knows nothing of Step Functions,
# has no SDK, and no permission of AWS.
#
#     etl url    puts its result to RESULT_URL
#     etl log    prints its result as a line of its output
#
# ORDERS_DATE is the day, ORDERS how many orders there are. WORK_SECONDS is how long the work takes, and SOURCE_READY=no
# says that there is nothing to read yet.
set -eu

# A container that is stopped has some seconds to clear up, and a shell that is its first process hears of it only so.
work=
trap 'echo "stopped before the end" >&2; [ -z "$work" ] || kill "$work" 2>/dev/null || true; exit 143' TERM

: "${ORDERS_DATE:?}" "${ORDERS:?}"

if [ "${SOURCE_READY:-yes}" = no ]; then
    echo "the orders of $ORDERS_DATE are not there yet" >&2
    # EX_TEMPFAIL of sysexits.h
    exit 75
fi

folder=$(mktemp -d)

# Stands for reading them from where they are.
number=0
while [ "$number" -lt "$ORDERS" ]; do
    number=$((number + 1))
    echo "$ORDERS_DATE,$number,$((number * 37 % 100 + 1))"
done >"$folder/orders.csv"

# In the background, as a trap has to wait for what runs in the foreground.
sleep "${WORK_SECONDS:-0}" &
work=$!
wait "$work"
work=

awk -F, -v date="$ORDERS_DATE" '
    { total += $3 }
    END { printf "{\"date\": \"%s\", \"orders\": %d, \"total\": %d}\n", date, NR, total }
' "$folder/orders.csv" >"$folder/result.json"

case ${1:-url} in
    url) curl -fsS --retry 5 -L -T "$folder/result.json" "$RESULT_URL" ;;
    log) echo "::result $(cat "$folder/result.json")" ;;
    *)
        echo "there is no way $1 to hand a result back: url, log" >&2
        exit 64
        ;;
esac
echo "summed up the orders of $ORDERS_DATE"
