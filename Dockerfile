# The demo in a container: no network, no root, nothing written. The services' images come with the services.
FROM debian:12-slim AS build
RUN apt-get update \
    && apt-get install -y --no-install-recommends python3 python3-venv make ca-certificates libsodium23 \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /srv/notalone
COPY . .
RUN tools/setup.sh runtime

FROM debian:12-slim
RUN apt-get update \
    && apt-get install -y --no-install-recommends python3 libsodium23 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --no-create-home --shell /usr/sbin/nologin notalone
WORKDIR /srv/notalone
COPY --from=build /srv/notalone /srv/notalone
USER notalone
ENV PYTHONDONTWRITEBYTECODE=1
ENTRYPOINT ["/srv/notalone/.venv/bin/notalone"]
CMD ["demo", "--reports", "/srv/notalone/examples/university.json"]
