# One image for every service and the command line; two small ones, proxy and onion, stand on it.
# Debian releases are pinned by tag; Python packages by uv.lock, with hashes.
FROM debian:12.12-slim AS build
RUN apt-get update \
    && apt-get install -y --no-install-recommends python3 python3-venv ca-certificates libsodium23 \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /srv/notalone
COPY . .
RUN tools/setup.sh runtime \
    && python3 -m compileall -q crypto server client_sdk/python demo .venv/lib

FROM debian:12.12-slim AS notalone
RUN apt-get update \
    && apt-get install -y --no-install-recommends python3 libsodium23 ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && groupadd --system --gid 10001 notalone \
    && useradd --system --uid 10001 --gid 10001 --no-create-home --home-dir /nonexistent \
       --shell /usr/sbin/nologin notalone
WORKDIR /srv/notalone
# Root's files: the service's user cannot change what it runs.
COPY --from=build /srv/notalone/.venv .venv
COPY --from=build /srv/notalone/crypto crypto
COPY --from=build /srv/notalone/server server
COPY --from=build /srv/notalone/client_sdk client_sdk
COPY --from=build /srv/notalone/demo demo
COPY --from=build /srv/notalone/examples examples
COPY --from=build /srv/notalone/tools/probe.py tools/probe.py
COPY --from=build /srv/notalone/LICENSE LICENSE
ENV PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
# By number, so that an orchestrator can see that it is not root. Secret files belong to this number.
USER 10001:10001
ENTRYPOINT ["/srv/notalone/.venv/bin/notalone"]
CMD ["--help"]

FROM notalone AS proxy
USER root
RUN apt-get update \
    && apt-get install -y --no-install-recommends nginx \
    && rm -rf /var/lib/apt/lists/* /var/log/nginx
USER 10001:10001
ENTRYPOINT ["/usr/sbin/nginx", "-c", "/etc/nginx/notalone.conf", "-e", "stderr"]
CMD ["-g", "daemon off;"]

FROM notalone AS onion
USER root
RUN apt-get update \
    && apt-get install -y --no-install-recommends tor \
    && rm -rf /var/lib/apt/lists/* \
    && install -d -o 10001 -g 10001 -m 0700 /var/lib/notalone-onion
USER 10001:10001
ENTRYPOINT ["/usr/bin/tor", "-f", "/etc/tor/notalone.torrc"]
CMD []

# `docker build .` without a target gives the services.
FROM notalone
