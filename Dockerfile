# Built in one stage and run in another, so that the image holds no compiler and no package cache.
FROM python:3.11.13-slim-bookworm AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python -m venv /opt/stream-assoc
WORKDIR /build
COPY pyproject.toml constraints.txt README.md ./
COPY schemas ./schemas
COPY stream_assoc ./stream_assoc
RUN /opt/stream-assoc/bin/pip install --constraint constraints.txt '.[images,cassandra]'

FROM python:3.11.13-slim-bookworm
RUN useradd --system --uid 10001 --create-home --home-dir /var/lib/stream-assoc stream-assoc
COPY --from=build /opt/stream-assoc /opt/stream-assoc
# The package is not writable for its user, so compiled kernels are kept in the home directory.
ENV PATH=/opt/stream-assoc/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    NUMBA_CACHE_DIR=/var/lib/stream-assoc/numba \
    STREAM_ASSOC_METRICS__PROMETHEUS_HOST=0.0.0.0 \
    STREAM_ASSOC_METRICS__PROMETHEUS_PORT=9100 \
    STREAM_ASSOC_LOGGING__FORMAT=json
USER stream-assoc
WORKDIR /var/lib/stream-assoc
EXPOSE 9100
# Healthy is who can do the work: in the consumer group, every service answers (docs/how-to/monitor.md).
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:9100/readyz', timeout=4)"]
# SIGTERM finishes the batch in hand, commits and leaves the group.
STOPSIGNAL SIGTERM
ENTRYPOINT ["stream-assoc"]
CMD ["serve"]
