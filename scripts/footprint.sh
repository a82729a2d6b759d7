#!/usr/bin/env bash
# Prints what "go get" of sioplug adds to an application that has a framework already:
# modules in its graph, lines in its go.sum, and versions that change.
#
#   scripts/footprint.sh            at the oldest supported versions
#   scripts/footprint.sh newest     at the newest ones
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
export GOWORK=off GOFLAGS=-mod=mod
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

# oldest returns the version of a module that sioplug itself asks for.
oldest() { go -C "$root" list -m -f '{{.Version}}' "$1"; }

modules() { go list -m -f '{{if not .Main}}{{.Path}} {{.Version}}{{end}}' all | sort; }

# compile writes a program that imports packages.
compile() {
  printf 'package app\n\n' >app.go
  printf 'import _ "%s"\n' "$@" >>app.go
}

# measure NAME FRAMEWORK PACKAGES...: FRAMEWORK is empty for an application without one.
measure() {
  local name=$1 framework=$2
  shift 2
  mkdir "$folder/$name" && cd "$folder/$name"
  printf 'module app\n\ngo 1.26.0\n' >go.mod
  if [[ -n $framework ]]; then
    local version=latest
    [[ $at == newest ]] || version=$(oldest "$framework")
    compile "$framework"
    go get -t "$framework@$version" 2>/dev/null
    go mod tidy 2>/dev/null
    compile "$framework" "$@"
  else
    compile "$@"
  fi
  modules >before
  touch go.sum
  local sum
  sum=$(wc -l <go.sum)
  go mod edit -require github.com/sioplug/sioplug@v0.0.0 -replace "github.com/sioplug/sioplug=$root"
  go mod tidy 2>/dev/null
  modules | grep -v '^github.com/sioplug/sioplug ' >after
  printf '| %s | %d | %d | %d |\n' "$name" "$(join -v 2 before after | wc -l)" "$(($(wc -l <go.sum) - sum))" \
    "$(join before after | awk '$2 != $3' | wc -l)"
  join before after | awk -v name="$name" '$2 != $3 { print "    " name ": " $1 " " $2 " -> " $3 }' >>"$folder/changed"
}

at=${1:-oldest}
sioplug=github.com/sioplug/sioplug
touch "$folder/changed"
echo "| application with | modules added | lines added to go.sum | versions changed |"
echo "|---|---|---|---|"
measure nothing "" $sioplug/core
measure gin github.com/gin-gonic/gin $sioplug/core $sioplug/integrations/gin
measure echo github.com/labstack/echo/v4 $sioplug/core $sioplug/integrations/echo
measure fiber github.com/gofiber/fiber/v2 $sioplug/core $sioplug/integrations/fiber
if [[ -s $folder/changed ]]; then
  printf '\nVersions that change:\n\n'
  cat "$folder/changed"
fi
