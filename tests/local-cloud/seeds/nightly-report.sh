#!/bin/sh
# What the sample events' task runs: counts some rows, and hands the count back in the way that was asked for.
set -eu
echo '{"rows": 4711}' >result.json
if [ -n "${RESULT_URL:-}" ]; then
    curl -fsS --retry 5 -L -T result.json "$RESULT_URL"
else
    echo "::result $(cat result.json)"
fi
