#!/usr/bin/env bash
# Serves one chat from three servers at http://localhost:3000: Gin, Fiber, and Node.js with
# the official adapter, over a Redis of its own, behind a proxy as docs/clustering.md says.
#
#   PORT=4000         another port
#   PROXY=haproxy     another proxy than nginx
#   TOKEN=20s         how long the token of a socket is good
#   STATE=folder      where programs and logs are kept
#   BUILT=folder      programs gin and fiber that are built already
set -euo pipefail
cd "$(dirname "$0")/.."

port=${PORT:-3000}
proxy=${PROXY:-nginx}
state=${STATE:-$PWD/examples/.demo}
client=examples/chat/web/node_modules/socket.io-client/dist
PATH=$PATH:/usr/sbin:/sbin

fail() { printf '%s\n' "$@" >&2; exit 1; }

# answers tells whether a program listens on a port.
answers() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# tool fails if a program is missing.
tool() { command -v "$1" >/dev/null || fail "$1 is missing. $2"; }

tool go "Install Go 1.26 or newer from https://go.dev/dl/."
tool node "Install Node.js 20 or newer."
tool npm "Install Node.js 20 or newer, with npm."
tool redis-server "Install Redis (Debian: apt-get install redis-server)."
case $proxy in
  nginx) tool nginx "Install nginx (Debian: apt-get install nginx-light)." ;;
  haproxy) tool haproxy "Install HAProxy (Debian: apt-get install haproxy)." ;;
  *) fail "There is no PROXY=$proxy: use nginx or haproxy." ;;
esac
! answers "$port" || fail "Port $port is taken. Stop what uses it, or choose another: PORT=4000 make demo-cluster"

for folder in examples/chat/web examples/chat/node; do
  if [[ ! $folder/node_modules/.package-lock.json -nt $folder/package-lock.json ]]; then
    echo "Installing the packages of $folder with npm."
    (cd $folder && npm ci --no-audit --no-fund --loglevel=error)
  fi
done

mkdir -p "$state"
built=${BUILT:-$state}
if [[ -z ${BUILT:-} ]]; then
  echo "Building examples/gin and examples/fiber."
  GOWORK=off go build -C examples -o "$built/" ./gin ./fiber
fi

# Ports that nothing listens on, above that of the proxy.
ports=()
for ((p = port + 1; ${#ports[@]} < 4; p++)); do
  answers "$p" || ports+=("$p")
done
redis=127.0.0.1:${ports[3]}

servers=() # process ids
services=() # those of Redis and the proxy, which end after the servers
stop() {
  trap '' INT TERM ERR
  echo "Stopping."
  finish ${servers[@]+"${servers[@]}"}
  finish ${services[@]+"${services[@]}"}
  exit "${1:-0}"
}
finish() {
  for pid in "$@"; do kill "$pid" 2>/dev/null || true; done
  for pid in "$@"; do wait "$pid" 2>/dev/null || true; done
}
trap 'stop 0' INT TERM
trap 'stop 1' ERR

# await waits until a program of ours listens on a port.
await() {
  for ((i = 0; i < 600; i++)); do
    answers "$1" && return
    kill -0 "$2" 2>/dev/null || { echo "$3 has ended." >&2; stop 1; }
    sleep 0.1
  done
  echo "$3 does not answer." >&2
  stop 1
}

redis-server --bind 127.0.0.1 --port "${ports[3]}" --save '' --appendonly no --dir "$state" --loglevel warning \
  >"$state/redis.log" 2>&1 &
redis_pid=$!
services+=("$redis_pid")
await "${ports[3]}" "$redis_pid" Redis

# The key of the sessions is the same for all servers, and outlives them.
[[ -s $state/session.key ]] || (umask 077 && head -c 32 /dev/urandom >"$state/session.key")

common=(-redis "$redis" -key "$state/session.key" -client "$client" -token "${TOKEN:-5m}")
command_a=("$built/gin" -addr "127.0.0.1:${ports[0]}" -node a "${common[@]}")
command_b=("$built/fiber" -addr "127.0.0.1:${ports[1]}" -node b "${common[@]}")
command_c=(node examples/chat/node/main.js --addr "127.0.0.1:${ports[2]}" --node c --redis "$redis" --key "$state/session.key")

# The output of the servers goes to files: the screen is for what to do.
"${command_a[@]}" >"$state/a.log" 2>&1 & a=$!
"${command_b[@]}" >"$state/b.log" 2>&1 & b=$!
"${command_c[@]}" >"$state/c.log" 2>&1 & c=$!
servers+=("$a" "$b" "$c")
await "${ports[0]}" "$a" "The server with Gin"
await "${ports[1]}" "$b" "The server with Fiber"
await "${ports[2]}" "$c" "The server in Node.js"

# block prints the first block in a language under a heading of docs/clustering.md, with these
# ports.
block() {
  awk -v start="\`\`\`$1" -v heading="## $2" \
    '$0 == heading { found = 1 } found && $0 == start { inside = 1; next } inside && /^```/ { exit } inside' docs/clustering.md |
    sed -e "s/127\.0\.0\.1:8081/127.0.0.1:${ports[0]}/; s/127\.0\.0\.1:8082/127.0.0.1:${ports[1]}/; s/127\.0\.0\.1:8083/127.0.0.1:${ports[2]}/"
}

case $proxy in
  nginx)
    own="access_log off;"
    for kind in client_body proxy fastcgi uwsgi scgi; do own+=" ${kind}_temp_path $state/nginx-$kind;"; done
    block nginx nginx | sed -e "s/listen 80;/listen 127.0.0.1:$port;/" -e '/^worker_rlimit_nofile/d' \
      -e 's/worker_connections .*;/worker_connections 512;/' -e "s|^http {|http { $own|" >"$state/nginx.conf"
    user=""
    [[ $EUID != 0 ]] || user="user root;" # or the workers cannot read the folder
    nginx -p "$state" -e "$state/proxy.log" -c "$state/nginx.conf" -g "$user daemon off; pid $state/nginx.pid;" &
    ;;
  haproxy)
    block haproxy HAProxy | sed -e "s/bind :80$/bind 127.0.0.1:$port/" -e 's/maxconn .*/maxconn 500/' >"$state/haproxy.cfg"
    haproxy -db -q -f "$state/haproxy.cfg" >"$state/proxy.log" 2>&1 &
    ;;
esac
proxy_pid=$!
services+=("$proxy_pid")
await "$port" "$proxy_pid" "The proxy"

cat <<END
The chat is at http://localhost:$port

Open two windows of it, one of them private, and sign in with two names. "Connection" on the
page tells which server a page is connected to. Then kill that server, and go on chatting:

  a  Gin      kill -9 $a
  b  Fiber    kill -9 $b
  c  Node.js  kill -9 $c

Start it again in another terminal, in this folder:

  a  ${command_a[*]}
  b  ${command_b[*]}
  c  ${command_c[*]}

Their output is in $state/a.log, b.log and c.log. Ctrl+C ends everything.
END

trap - ERR # from here on, commands may fail
ended=""
while kill -0 "$proxy_pid" 2>/dev/null && kill -0 "$redis_pid" 2>/dev/null; do
  for server in a b c; do
    if [[ $ended != *$server* ]] && ! kill -0 "${!server}" 2>/dev/null; then
      echo "Server $server has ended. Its pages go on at the others."
      ended+=$server
    fi
  done
  sleep 0.5 &
  wait $! # unlike sleep, it ends with a signal
done
echo "The proxy or Redis has ended." >&2
stop 1
