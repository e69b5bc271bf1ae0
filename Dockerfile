# syntax=docker/dockerfile:1
FROM python:3.13-slim AS build
WORKDIR /src
COPY deploy/requirements.txt deploy/
RUN python -m venv /opt/exporter \
    && /opt/exporter/bin/pip install --no-cache-dir --require-hashes -r deploy/requirements.txt
COPY pyproject.toml README.md LICENSE ./
COPY exporter exporter
COPY queries queries
COPY alerts/catalogue alerts/catalogue
RUN /opt/exporter/bin/pip install --no-cache-dir --no-deps . \
    && /opt/exporter/bin/pip uninstall --yes pip \
    && /opt/exporter/bin/python -m compileall -q /opt/exporter/lib

FROM python:3.13-slim
LABEL org.opencontainers.image.title="datatier-exporter" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /opt/exporter /opt/exporter
ENV PATH=/opt/exporter/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
# Nothing is ever written: the image runs with a read-only root file system, as nobody in particular.
USER 65532:65532
EXPOSE 9187
HEALTHCHECK --interval=10s --timeout=2s --start-period=5s \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:9187/livez', timeout=2)"]
ENTRYPOINT ["datatier-exporter"]
