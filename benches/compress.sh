#!/usr/bin/env bash
# Compressed answers: Forebay, which makes each coding once, against nginx, which makes it anew for
# every hit; with br and gzip, hits and cold, in one paired run.
#
#   benches/compress.sh [ROUNDS] [SECONDS]      (default: 5 rounds of 5 seconds each)
#
# The body is a script of some 256 KiB: the bundle of modules that `forebay demo` makes up, which
# brotli 5 makes 5.1 times smaller; SCRIPT=file.js measures another (benches/README.md says which).
# nginx has gzip at level 6 and brotli at level 5, and keeps the plain body in its proxy_cache.
# Both stand in front of the same nginx, pinned to core 0; it and the load (wrk) are on core 1.
#
# Cold: every request has a query of its own, so each goes to the origin, is compressed on its way
# and kept. With eight connections that is a rate, with one it is the time to the last byte.
# Needs nginx, wrk, brotli and libnginx-mod-http-brotli-filter (Debian packages of these names), and
# a release build.
set -euo pipefail
script=${SCRIPT:+$(realpath "$SCRIPT")}
cd "$(dirname "$0")/.."
rounds=${1:-5} seconds=${2:-5}
source benches/common.sh
need nginx wrk taskset curl brotli gzip openssl
module=${BROTLI_MODULE:-/usr/lib/nginx/modules/ngx_http_brotli_filter_module.so}
[ -e "$module" ] || { echo "$module is needed: apt-get install libnginx-mod-http-brotli-filter" >&2; exit 2; }
origin=127.0.0.1:18821 nginx=127.0.0.1:18822 forebay_at=127.0.0.1:18823 admin=127.0.0.1:18824
www=$dir/www; mkdir "$www"

# The vendor bundle of the demo.
made_up() {
  local demo=127.0.0.1:18825 pid name
  "$forebay" demo --listen "$demo" --origin-listen 127.0.0.1:0 --admin-listen 127.0.0.1:0 >"$dir/demo.out" 2>&1 & pid=$!
  await "http://$demo/"
  name=$(curl -sf "http://$demo/" | grep -o '/assets/vendor[^"]*' | head -1)
  curl -sf "http://$demo$name" -o "$1"
  kill "$pid"; wait "$pid" 2>/dev/null || true
}

# The configuration of an nginx with the text in its `http` block, and further text before all.
conf() { # name, text, further text
  echo "${3:-} worker_processes 1; daemon off; pid $dir/$1.pid; error_log $dir/nginx.log;
    events { worker_connections 1024; }
    http { access_log off; keepalive_requests 1000000000; proxy_temp_path $dir/$1-temp; client_body_temp_path $dir/$1-client;
      fastcgi_temp_path $dir/$1-f; uwsgi_temp_path $dir/$1-u; scgi_temp_path $dir/$1-s;
      types { application/javascript js; application/octet-stream bin; }
      $2 }" >"$dir/$1.conf"
}

start() {
  conf origin "sendfile on; server { listen $origin; root $www; add_header Cache-Control max-age=3600; }"
  conf nginx "proxy_cache_path $dir/cache keys_zone=kept:16m max_size=512m use_temp_path=off; upstream origin { server $origin; keepalive 16; }
    gzip on; gzip_comp_level 6; gzip_proxied any; gzip_vary on; gzip_min_length 1024; gzip_types application/javascript;
    brotli on; brotli_comp_level 5; brotli_min_length 1024; brotli_types application/javascript;
    server { listen $nginx; location / { proxy_pass http://origin; proxy_http_version 1.1; proxy_set_header Connection '';
      proxy_set_header Accept-Encoding ''; proxy_cache kept; add_header X-Cache \$upstream_cache_status; } }" "load_module $module;"
  cat >"$dir/forebay.toml" <<TOML
version = 1
listeners.web.address = "$forebay_at"
admin.address = "$admin"
origins.origin.servers = ["http://$origin"]
server.threads = 1
cache.memory = "512MiB"
policies.respect = { ${1:-} }
routes = [{ name = "all", match = { path = "/**" }, origin = "origin", policy = "respect" }]
TOML
  taskset -c 1 nginx -p "$dir" -c "$dir/origin.conf" &
  taskset -c 0 nginx -p "$dir" -c "$dir/nginx.conf" & nginx_pid=$!
  taskset -c 0 "$forebay" serve --config "$dir/forebay.toml" >"$dir/forebay.out" 2>&1 & forebay_pid=$!
  for at in "$origin" "$nginx" "$forebay_at"; do await "http://$at/bundle.js"; done
}

# The fields of an answer, one line each, without the ends of lines of HTTP.
head_of() { curl -sf -o /dev/null -D - -H "Accept-Encoding: $2" "http://$1" | tr -d '\r'; }
length_of() { curl -sf -o /dev/null -w '%{size_download}' -H "Accept-Encoding: $2" "http://$1"; }

# Asks until what is made best is there: the coding, under a strong tag.
warm() { # coding
  local try head
  for try in $(seq 600); do
    head=$(head_of "$forebay_at/bundle.js" "$1")
    grep -qi "^content-encoding: $1" <<<"$head" && grep -qi '^etag: "' <<<"$head" && return
    sleep 0.05
  done
  echo "Forebay does not answer in $1" >&2; exit 2
}

# Sees to it that an answer is in its coding and is the script; cold answers may be plain still.
prove() { # server, path, coding
  local found
  curl -sf --compressed -H "Accept-Encoding: $3" -o "$dir/got" -D "$dir/head" "http://$1/$2"
  cmp "$dir/got" "$www/bundle.js" || { echo "$1/$2 in $3 is not the script" >&2; exit 2; }
  found=$(awk 'tolower($1) == "content-encoding:" { print $2 }' "$dir/head" | tr -d '\r')
  [ "$found" = "$3" ] || echo "note: $1/$2 is answered ${found:-plain}, not in $3"
}

cat >"$dir/load.lua" <<'LUA'
local number, prefix = 0, nil
function init(arguments) prefix = arguments[1] end
function request()
  if not prefix then return wrk.format() end
  number = number + 1
  return wrk.format("GET", "/bundle.js?n=" .. prefix .. "." .. number)
end
function done(summary, latency)
  local errors = summary.errors
  io.write(string.format("told %d %d %d %d %d %d\n", summary.requests, summary.duration, summary.bytes,
    latency:percentile(50), latency:percentile(99),
    errors.connect + errors.read + errors.write + errors.status + errors.timeout))
end
LUA

runs=0
run() { # what, coding, server, path, connections, "cold" or nothing
  local pid=$nginx_pid at=$nginx before after prefix=()
  [ "$3" = nginx ] || { pid=$forebay_pid at=$forebay_at; }
  runs=$((runs + 1)); [ -z "${6:-}" ] || prefix=("$$.$runs")
  before=$(ticks "$pid")
  taskset -c 1 wrk -t1 -c"$5" -d"${seconds}s" --timeout 30s -s "$dir/load.lua" -H "Accept-Encoding: $2" \
    "http://$at/$4" -- "${prefix[@]}" >"$dir/wrk"
  after=$(ticks "$pid")
  # requests/s, microseconds of CPU, median and 99th percentile in ms, bytes; each of one request
  awk -v n="$1 $2 $3" -v t=$((after - before)) '$1 == "told" { if ($7) print n ": " $7 " requests failed" >"/dev/stderr"
    printf "%s %.1f %.1f %.2f %.2f %.0f\n", n, $2 * 1e6 / $3, t * 10000 / $2, $5 / 1000, $6 / 1000, $4 / $2 }' "$dir/wrk" >>"$dir/results"
}

# The median of a column over the rounds.
of() { awk -v n="$1" -v k="$2" '$1 " " $2 " " $3 == n { print $k }' "$dir/results" | sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }
# How many times the one is the other.
ratio() { awk -v a="$1" -v b="$2" 'BEGIN { if (b > 0) printf "%.3g", a / b; else printf "-" }'; }

# What one more deploy of the script costs who has the last: br alone, and with a dictionary (RFC
# 9842). Only where the build knows the option; it stands alone, with servers of its own.
second_deploy() {
  local old=app.0a1b2c3d.js new=app.4e5f6a7b.js hash coding settings=$dir/dictionary.toml
  sed "s/policies.respect = .*/policies.respect = { compress = { dictionaries = true } }/" "$dir/forebay.toml" >"$settings"
  "$forebay" check "$settings" >/dev/null 2>&1 || { echo "second deploy: this build makes no dictionaries"; return; }
  kill "$forebay_pid"; wait "$forebay_pid" 2>/dev/null || true
  "$forebay" serve --config "$settings" >"$dir/forebay.out" 2>&1 & forebay_pid=$!
  cp "$www/bundle.js" "$www/$old"
  # Twenty small changes, all over the script.
  split -n 20 -d "$www/bundle.js" "$dir/piece."
  for piece in "$dir"/piece.*; do cat "$piece"; echo -n ";var r${piece##*.}=${piece##*.}*7;"; done >"$www/$new"
  await "http://$forebay_at/$old"
  hash=$(openssl dgst -sha256 -binary "$www/$old" | base64)
  echo "second deploy: plain $(stat -c %s "$www/$new"), br 11 alone $(brotli -q 11 -c "$www/$new" | wc -c) bytes"
  for coding in dcb dcz; do
    for _ in $(seq 200); do
      curl -sf -o "$dir/got" -D "$dir/head" -H "Accept-Encoding: br, $coding" -H "Available-Dictionary: :$hash:" "http://$forebay_at/$new"
      ! grep -qi "^content-encoding: $coding" "$dir/head" || break
      # What is asked for now and then is taken as a dictionary.
      curl -sf -o /dev/null "http://$forebay_at/$old"; sleep 0.05
    done
    echo "second deploy: $(tr -d '\r' <"$dir/head" | awk 'tolower($1) == "content-encoding:" { print $2 }') $(stat -c %s "$dir/got") bytes"
  done
}

if [ -n "$script" ]; then cp "$script" "$www/bundle.js"; else made_up "$www/bundle.js"; fi
chmod -R a+rX "$www"
start
plain=$(stat -c %s "$www/bundle.js")
for coding in br gzip; do
  warm "$coding"
  head -c "$(length_of "$forebay_at/bundle.js" "$coding")" /dev/urandom >"$www/$coding.bin"; chmod a+r "$www/$coding.bin"
  for at in "$nginx" "$forebay_at"; do prove "$at" bundle.js "$coding"; prove "$at" "bundle.js?first=$coding" "$coding"; done
done
echo "script: $plain bytes; brotli -q 5: $(brotli -q 5 -c "$www/bundle.js" | wc -c); gzip -6: $(gzip -6 -c "$www/bundle.js" | wc -c)"
echo "$rounds rounds of $seconds s each"
for coding in br gzip; do
  for _ in $(seq "$rounds"); do
    for server in nginx forebay; do run hit "$coding" "$server" bundle.js 16; done
    # A body as long as the compressed one, that nobody compresses.
    run same-length "$coding" forebay "$coding.bin" 16
  done
done
for coding in br gzip; do
  for _ in $(seq "$rounds"); do
    for server in nginx forebay; do run cold "$coding" "$server" bundle.js 8 cold; done
    for server in nginx forebay; do run cold-alone "$coding" "$server" bundle.js 1 cold; done
  done
done

printf '\n%-12s %-6s %-8s %12s %16s %10s %10s %16s\n' what coding server requests/s cpu-us/request p50-ms p99-ms bytes/response
for what in hit same-length cold cold-alone; do for coding in br gzip; do for server in nginx forebay; do
  it="$what $coding $server"; [ -n "$(of "$it" 4)" ] || continue
  printf '%-12s %-6s %-8s %12.1f %16.1f %10.2f %10.2f %16d\n' $it "$(of "$it" 4)" "$(of "$it" 5)" "$(of "$it" 6)" "$(of "$it" 7)" "$(of "$it" 8)"
done; done; done
echo
for coding in br gzip; do
  echo "$coding, forebay/nginx: hits $(ratio "$(of "hit $coding forebay" 4)" "$(of "hit $coding nginx" 4)") in requests/s," \
    "$(ratio "$(of "hit $coding forebay" 5)" "$(of "hit $coding nginx" 5)") in CPU;" \
    "cold $(ratio "$(of "cold $coding forebay" 4)" "$(of "cold $coding nginx" 4)") in requests/s," \
    "$(ratio "$(of "cold $coding forebay" 5)" "$(of "cold $coding nginx" 5)") in CPU," \
    "$(ratio "$(of "cold-alone $coding forebay" 6)" "$(of "cold-alone $coding nginx" 6)") in the time to the last byte;" \
    "bytes of a hit $(ratio "$(of "hit $coding forebay" 8)" "$(of "hit $coding nginx" 8)"), cold $(ratio "$(of "cold $coding forebay" 8)" "$(of "cold $coding nginx" 8)")"
  echo "$coding, a hit of Forebay against a plain one as long: $(ratio "$(of "hit $coding forebay" 5)" "$(of "same-length $coding forebay" 5)") in CPU"
done
second_deploy
