#!/usr/bin/env bash
# Hits of a stored 1 KiB response: Forebay against nginx's proxy_cache, in one paired run.
#
#   benches/load.sh [ROUNDS] [SECONDS]      (default: 5 rounds of 5 seconds each)
#
# The server is pinned to core 0, the load (wrk, 64 connections) to core 1. Both servers stand in
# front of the same origin; they take turns, and medians are compared, so that what else the
# machine does hits both. CPU time per request holds where requests per second do not.
# Needs nginx and wrk (Debian packages of these names) and a release build.
set -euo pipefail
cd "$(dirname "$0")/.."
rounds=${1:-5} seconds=${2:-5}
source benches/common.sh
need nginx wrk taskset curl
nginx_conf 18801 "proxy_cache_path $dir/cache keys_zone=hits:16m;
  server { listen 127.0.0.1:18802; location / { proxy_pass http://127.0.0.1:18801; proxy_cache hits; add_header X-Cache \$upstream_cache_status; } }" \
  >"$dir/nginx.conf"
cat >"$dir/forebay.toml" <<TOML
version = 1
listeners.web.address = "127.0.0.1:18803"
admin.address = "127.0.0.1:18804"
origins.origin.servers = ["http://127.0.0.1:18801"]
server.threads = 1
policies.respect = {}
routes = [{ name = "all", match = { path = "/**" }, origin = "origin", policy = "respect" }]
TOML
taskset -c 0 nginx -p "$dir" -c "$dir/nginx.conf" & nginx=$!
taskset -c 0 "$forebay" serve --config "$dir/forebay.toml" >"$dir/forebay.out" & edge=$!
for at in 18801/body 18802/a 18803/a; do await "http://127.0.0.1:$at"; done

run() { # name, process, port
  local before after rate count
  before=$(ticks "$2")
  taskset -c 1 wrk -t1 -c64 -d"${seconds}s" --latency "http://127.0.0.1:$3/a" >"$dir/wrk"
  after=$(ticks "$2")
  rate=$(awk '/Requests\/sec/ { print $2 }' "$dir/wrk"); count=$(awk '/requests in/ { print $1 }' "$dir/wrk")
  awk -v n="$1" -v r="$rate" -v c="$count" -v t=$((after - before)) -v p="$(awk '/99%/ { print $2 }' "$dir/wrk")" \
    'BEGIN { printf "%s %.0f %.2f %s\n", n, r, t * 10000 / c, p }' | tee -a "$dir/results"
}
echo "server requests/s cpu-us/request p99"
for _ in $(seq "$rounds"); do run nginx "$nginx" 18802; run forebay "$edge" 18803; done
median() { awk -v n="$1" -v k="$2" '$1 == n { print $k }' "$dir/results" | sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }
awk -v a="$(median nginx 2)" -v b="$(median forebay 2)" -v c="$(median nginx 3)" -v d="$(median forebay 3)" \
  'BEGIN { printf "\nmedians: nginx %d/s %.2f us, forebay %d/s %.2f us; forebay/nginx: %.2f in requests/s, %.2f in CPU per request\n", a, c, b, d, b / a, d / c }'
