# syntax=docker/dockerfile:1

# Settings are read from /etc/forebay/forebay.toml, which has to be mounted:
#
#   docker build -t forebay .
#   docker run --rm -p 8080:8080 -v "$PWD/forebay.toml:/etc/forebay/forebay.toml:ro" forebay
#
# Inside a container a listener on 127.0.0.1 cannot be reached from outside: write
# `address = "0.0.0.0:8080"`. The admin listener may stay on 127.0.0.1:9900, where the health check
# asks it; if its port is another one, set FOREBAY_ADMIN_PORT.
#
# `docker stop` waits ten seconds and then kills: give it `--time` above `server.grace`.

FROM rust:1-slim-trixie AS build
# A dependency compiles zlib with cmake; the compiler is in the image.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends cmake make \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /forebay
COPY . .
RUN cargo build --release --locked -p forebay

FROM debian:trixie-slim
# The authorities that certificates of origins are verified by.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin forebay
COPY --from=build /forebay/target/release/forebay /usr/local/bin/forebay
WORKDIR /etc/forebay
USER 10001:10001
ENV FOREBAY_ADMIN_PORT=9900
EXPOSE 8080
# Bash asks by itself, so that the image needs no client for HTTP.
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s --retries=3 \
    CMD ["bash", "-c", "exec 3<>\"/dev/tcp/127.0.0.1/$FOREBAY_ADMIN_PORT\" && printf 'GET /readyz HTTP/1.1\\r\\nHost: localhost\\r\\nConnection: close\\r\\n\\r\\n' >&3 && read -r _ status _ <&3 && [ \"$status\" = 200 ]"]
ENTRYPOINT ["forebay"]
CMD ["serve", "--config", "/etc/forebay/forebay.toml"]
