# docker build -t vumi .
# docker run -p 8000:8000 -v vumi:/var/lib/vumi -v ./vumi.toml:/etc/vumi/vumi.toml:ro vumi
# docker run ... vumi run --only transports
FROM rust:1-slim-bookworm AS build
RUN apt-get update && apt-get install -y --no-install-recommends gcc libc6-dev make perl && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
RUN cargo build --release --locked --bin vumi --features postgres-tls

FROM debian:bookworm-slim
# The certificates of carriers and of the clients' callback URLs are checked against these.
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates && rm -rf /var/lib/apt/lists/* \
 && useradd --system --uid 10001 --home-dir /var/lib/vumi --create-home --shell /usr/sbin/nologin vumi \
 && chmod 0700 /var/lib/vumi
COPY --from=build /src/target/release/vumi /usr/bin/vumi
USER vumi
WORKDIR /var/lib/vumi
VOLUME /var/lib/vumi
# Inside a container, others reach the API only by an address of its own; a published port says who these are. The settings
# must have no [sandbox] then.
ENV VUMI_SETTINGS=/etc/vumi/vumi.toml VUMI__HTTP__BIND=0.0.0.0:8000
EXPOSE 8000
# A stop finishes what is under way: give it longer than docker's 10 s, with `docker stop --time 60` or `stop_grace_period`.
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/bin/vumi"]
CMD ["run"]
