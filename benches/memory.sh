#!/usr/bin/env bash
# Memory that a stored 1 KiB response takes: what the process grows by, divided by their number.
#
#   benches/memory.sh [COUNT]      (default: 200000)
#
# Needs nginx (as origin), curl and a release build.
set -euo pipefail
cd "$(dirname "$0")/.."
count=${1:-200000}
source benches/common.sh
need nginx curl
nginx_conf 18811 >"$dir/nginx.conf"
cat >"$dir/forebay.toml" <<TOML
version = 1
listeners.web.address = "127.0.0.1:18813"
admin.address = "127.0.0.1:18814"
origins.origin.servers = ["http://127.0.0.1:18811"]
cache.memory = "8GiB"
policies.respect = {}
routes = [{ name = "all", match = { path = "/**" }, origin = "origin", policy = "respect" }]
TOML
nginx -p "$dir" -c "$dir/nginx.conf" &
"$forebay" serve --config "$dir/forebay.toml" >"$dir/forebay.out" & edge=$!
await http://127.0.0.1:18813/a
fill() { seq "$1" "$2" | sed 's|.*|url = "http://127.0.0.1:18813/items/&"\noutput = /dev/null|' | curl -sf --no-progress-meter --parallel --parallel-max 32 -K -; }
resident() { awk '/VmRSS/ { print $2 * 1024 }' "/proc/$edge/status"; }
metric() { curl -sf http://127.0.0.1:18814/metrics | awk -v n="$1" '$1 == n { print $2 }'; }
of_memory() { metric "forebay_tier_$1{tier=\"memory\"}"; }
fill 1 2000
before=$(resident) had=$(of_memory entries)
step=$((count / 10))
for i in $(seq 0 9); do
  fill $((2001 + i * step)) $((2000 + (i + 1) * step)); echo "$(((i + 1) * 10)) %: $(of_memory entries) keys" >&2
done
sleep 1; keys=$(($(of_memory entries) - had)) after=$(resident)
awk -v k="$keys" -v g=$((after - before)) -v w="$(of_memory bytes)" -v a=$((keys + had)) \
  'BEGIN { printf "%d stored responses of 1 KiB: %d bytes of memory each; the tier counts %d bytes each\n", k, g / k, w / a }'
