# docker build -t vumi .
# docker run -p 8000:8000 -v vumi:/var/lib/vumi -v ./vumi.toml:/etc/vumi/vumi.toml:ro vumi
# docker run ... vumi run --only transports
#
# The router runs as the user and group 10001, which must be able to read the settings, and the files with secrets that they
# name: `chown root:10001 vumi.toml && chmod 640 vumi.toml`. A volume for /var/lib/vumi that is a folder of the host must be
# 10001's own: `chown 10001:10001 FOLDER`.
FROM rust:1.95.0-slim-bookworm AS build
RUN apt-get update && apt-get install -y --no-install-recommends gcc libc6-dev make perl && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
RUN cargo build --release --locked --bin vumi --features postgres-tls

FROM debian:12.12-slim
# The certificates of carriers and of the clients' callback URLs are checked against these.
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates && rm -rf /var/lib/apt/lists/* \
 && groupadd --system --gid 10001 vumi \
 && useradd --system --uid 10001 --gid 10001 --home-dir /var/lib/vumi --create-home --shell /usr/sbin/nologin vumi \
 && chmod 0700 /var/lib/vumi
COPY --from=build /src/target/release/vumi /usr/bin/vumi
USER 10001:10001
WORKDIR /var/lib/vumi
VOLUME /var/lib/vumi
# Inside a container, others reach the API only by an address of its own; a published port says who these are. The settings
# must have no [sandbox] then.
ENV VUMI_SETTINGS=/etc/vumi/vumi.toml VUMI__HTTP__BIND=0.0.0.0:8000
EXPOSE 8000
# A stop finishes what is under way: give it longer than docker's 10 s, with `docker stop --time 60` or `stop_grace_period`.
STOPSIGNAL SIGTERM
# Asks /health/ready, at `health.bind` or else at the HTTP API: a part without that API needs VUMI__HEALTH__BIND=127.0.0.1:8001.
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s --retries=3 CMD ["/usr/bin/vumi", "status"]
ENTRYPOINT ["/usr/bin/vumi"]
CMD ["run"]
