#!/usr/bin/env bash
# Runs the Go tests of every module, with arguments for go test if any are given. Where
# SIOPLUG_REQUIRE says "all", a skipped test is a failure too.
#
# The module at the top asks for the oldest frameworks that are supported, so its tests
# run with those. The module "test" asks for the newest ones, and runs the tests of the
# mounts and guards again.
set -euo pipefail
cd "$(dirname "$0")/.."
export GOWORK=off

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
# shellcheck disable=SC2086 # one argument for each folder
run . -run Allocations $bounded

for module in $(find . -name node_modules -prune -o -name go.mod -exec dirname {} \;); do
  run "$module" -race -shuffle=on -timeout 15m "$@" ./...
done

sioplug=github.com/sioplug/sioplug
run test -race -shuffle=on -timeout 15m "$@" $sioplug/integrations/{gin,echo,fiber}/... $sioplug/middleware/auth/... $sioplug/middleware/ratelimit
