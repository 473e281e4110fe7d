# One image for the whole mesh: its first argument picks the service, as in `docker run gridmesh:0.1.0 gateway`.
#
# The base is named by its exact tag, which its publisher can still move; a digest cannot be moved. A release passes the
# digest that it has examined: --build-arg PYTHON_IMAGE=python@sha256:...
ARG PYTHON_IMAGE=python:3.11.15-slim-bookworm

# --- what is made ----------------------------------------------------------------------------------------------------
FROM ${PYTHON_IMAGE} AS build
WORKDIR /opt/gridmesh

# Wheels only, each with the hash that the lock names, into an environment that has no pip: nothing is compiled.
COPY requirements.lock ./
RUN python -m venv --without-pip venv && \
    python -m pip --python venv/bin/python install --no-cache-dir --disable-pip-version-check \
      --require-hashes --only-binary :all: --requirement requirements.lock && \
    rm requirements.lock

# The packages of the project's wheel, as they are.
COPY analytics/ app/analytics/
COPY billing/ app/billing/
COPY common/ app/common/
COPY gateway/ app/gateway/
COPY ingestion/ app/ingestion/
COPY loadgen/ app/loadgen/
COPY protos/gen/energy/ app/energy/

# The bytecode is made here, for the running image cannot write any; everybody may read what only root owns, whatever
# the modes of the checkout were.
RUN venv/bin/python -m compileall -q --invalidation-mode unchecked-hash app && \
    chmod -R u=rwX,go=rX .

# --- what runs -------------------------------------------------------------------------------------------------------
FROM ${PYTHON_IMAGE} AS mesh

# Nothing is installed or built from here on, so what could do so goes.
RUN python -m pip uninstall --yes --quiet --root-user-action ignore setuptools wheel pip && \
    rm -rf /usr/local/lib/python3*/ensurepip

COPY --from=build /opt/gridmesh /opt/gridmesh

ENV PATH=/opt/gridmesh/venv/bin:$PATH \
    PYTHONPATH=/opt/gridmesh/app \
    PYTHONSAFEPATH=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1

# A number, so that Kubernetes can see that it is not root.
USER 10001:10001
WORKDIR /opt/gridmesh
EXPOSE 50051 50052 50053 50054 9101 9102 9103 9104

ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="gridmesh" \
      org.opencontainers.image.description="A gRPC mesh that takes energy readings from devices to bills" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"

ENTRYPOINT ["python", "-m"]
