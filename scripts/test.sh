#!/usr/bin/env bash
# Runs all Go tests, with arguments for go test if any are given. Where
# SIOPLUG_REQUIRE says "all", a skipped test is a failure too.
set -euo pipefail
cd "$(dirname "$0")/.."

# run runs tests of the module in a folder.
run() {
  local module=$1
  shift
  if [[ ",${SIOPLUG_REQUIRE:-}," == *,all,* ]]; then
    go test -C "$module" -json "$@" | go run ./scripts/noskip
  else
    go test -C "$module" "$@"
  fi
}

# The race detector allocates, so bounds on allocations are checked without it. They
# are in files named alloc_test.go, which -race leaves out.
bounded=$(find . -name alloc_test.go -exec dirname {} \; | sort -u)
if [[ -n $bounded ]]; then
  # shellcheck disable=SC2086 # one argument for each folder
  run . -run Allocations $bounded
fi

run . -race -shuffle=on -timeout 15m "$@" ./...
run test/frameworks -race -shuffle=on -timeout 15m "$@" ./...
