# The server with its command line. CUDA comes with the wheels of torch and onnxruntime-gpu, so the
# base needs nothing but Python; without a GPU the same image computes on the processor.
FROM python:3.11-slim-bookworm AS build

SHELL ["/bin/bash", "-o", "pipefail", "-c"]
WORKDIR /build
RUN python -m venv /opt/uv && /opt/uv/bin/pip install --no-cache-dir uv==0.13.9 \
    && /opt/uv/bin/uv venv /opt/facetscope
COPY deploy/requirements.txt deploy/requirements.txt
RUN /opt/uv/bin/uv pip install --no-cache --python /opt/facetscope/bin/python \
    --require-hashes -r deploy/requirements.txt
COPY pyproject.toml README.md LICENSE ./
COPY service service
COPY clients/python clients/python
RUN /opt/uv/bin/uv pip install --no-cache --python /opt/facetscope/bin/python \
    --no-deps . ./clients/python

FROM python:3.11-slim-bookworm

COPY --from=build /opt/facetscope /opt/facetscope
RUN useradd --uid 1000 --create-home facetscope \
    && install --directory --owner facetscope /var/lib/facetscope
ENV PATH=/opt/facetscope/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    FACETSCOPE_HOST=0.0.0.0 \
    FACETSCOPE_STORE=/var/lib/facetscope/artifacts
# Not `/`: a model that names a file beside itself must find nothing there.
WORKDIR /var/lib/facetscope
USER 1000
VOLUME /var/lib/facetscope
EXPOSE 50051
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s --retries=3 CMD ["facetscope", "health"]
ENTRYPOINT ["facetscope"]
CMD ["serve"]
