# What the benches share; to be sourced from the folder of the checkout.
#
# Gives $forebay (the build to measure) and $dir (a folder that is gone at the end, with a body of
# 1 KiB), and ends what was started when the bench ends.

forebay=${FOREBAY:-target/release/forebay}
dir=$(mktemp -d); chmod 755 "$dir" # nginx reads it as another user
trap 'kill $(jobs -p) 2>/dev/null || true; wait 2>/dev/null; rm -rf "$dir"' EXIT
head -c 1024 /dev/zero | tr '\0' x >"$dir/body"

# Says which of the programs is missing, and ends then.
need() {
  for program in "$@" "$forebay"; do
    command -v "$program" >/dev/null || { echo "$program is needed" >&2; exit 2; }
  done
}

# The configuration of an nginx that answers everything on a port with the body; further text goes
# into its `http` block.
nginx_conf() { # port, further text
  cat <<NGINX
worker_processes 1; daemon off; pid $dir/nginx.pid; error_log $dir/nginx.log;
events { worker_connections 1024; }
http {
  access_log off; keepalive_requests 1000000000; proxy_temp_path $dir/temp;
  client_body_temp_path $dir/client; fastcgi_temp_path $dir/f; uwsgi_temp_path $dir/u; scgi_temp_path $dir/s;
  server { listen 127.0.0.1:$1; location / { root $dir; try_files /body =404; default_type text/plain; add_header Cache-Control max-age=3600; } }
  ${2:-}
}
NGINX
}

# Waits until a URL is answered, for ten seconds at most.
await() { # url
  curl -sf -o /dev/null --retry 50 --retry-delay 0 --retry-all-errors --retry-max-time 10 "$1" ||
    { echo "no answer from $1" >&2; cat "$dir/nginx.log" >&2; exit 2; }
}

# Clock ticks that a process and its children have used, 100 a second.
ticks() { local sum=0; for pid in "$1" $(pgrep -P "$1" || true); do
  sum=$((sum + $(awk '{ print $14 + $15 }' "/proc/$pid/stat"))); done; echo "$sum"; }
