#!/usr/bin/env bash
# Runs all Go tests, with arguments for go test if any are given. Where
# SIOPLUG_REQUIRE says "all", a skipped test is a failure too.
set -euo pipefail
cd "$(dirname "$0")/.."

run() {
  if [[ ",${SIOPLUG_REQUIRE:-}," == *,all,* ]]; then
    go test -json "$@" | go run ./scripts/noskip
  else
    go test "$@"
  fi
}

# The race detector allocates, so bounds on allocations are checked without it. They
# are in files named alloc_test.go, which -race leaves out.
bounded=$(find . -name alloc_test.go -exec dirname {} \; | sort -u)
if [[ -n $bounded ]]; then
  # shellcheck disable=SC2086 # one argument for each folder
  run -run Allocations $bounded
fi

run -race -shuffle=on -timeout 5m "$@" ./...
