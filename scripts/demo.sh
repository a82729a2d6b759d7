#!/usr/bin/env bash
# Serves the chat at http://localhost:3000.
#
#   PORT=3001         another port
#   FRAMEWORK=echo    the application in examples/ that serves it: gin, echo or fiber
set -euo pipefail
cd "$(dirname "$0")/.."

port=${PORT:-3000}
framework=${FRAMEWORK:-gin}
client=examples/chat/web/node_modules/socket.io-client/dist
state=examples/.demo

fail() { printf '%s\n' "$@" >&2; exit 1; }

# answers tells whether a program listens on the port.
answers() { (exec 3<>"/dev/tcp/localhost/$port") 2>/dev/null; }

command -v go >/dev/null ||
  fail "Go is missing. Install Go 1.26 or newer from https://go.dev/dl/ and run this again."
[[ -f examples/$framework/main.go ]] ||
  fail "There is no example for FRAMEWORK=$framework. Those there are:" "$(cd examples && dirname ./*/main.go)"
! answers ||
  fail "Port $port is taken. Stop what uses it, or choose another: PORT=3001 make demo"

if ! command -v npm >/dev/null; then
  echo "npm is not installed: the page takes the Socket.IO client from cdn.socket.io."
elif [[ ! examples/chat/web/node_modules/.package-lock.json -nt examples/chat/web/package-lock.json ]]; then
  echo "Installing the Socket.IO client with npm."
  (cd examples/chat/web && npm ci --no-audit --no-fund --loglevel=error) ||
    echo "npm could not install it: the page takes it from cdn.socket.io."
fi

mkdir -p "$state"
admin=()
if [[ -f $state/adminui/index.html ]] || { command -v npm >/dev/null &&
  GOWORK=off go run ./admin/cmd/sioadmin-ui "$state/adminui"; }; then
  admin=(-admin "$state/adminui")
else
  echo "npm could not get the Admin UI: the demo goes without it."
fi
echo "Building examples/$framework."
GOWORK=off go build -C examples -o "$PWD/$state/$framework" "./$framework"
# The key outlives the program, so that stopping and starting it signs nobody out.
exec "$state/$framework" -addr "localhost:$port" -client "$client" -key "$state/session.key" "${admin[@]}"
