# Build stage: the locked dependencies and our two packages, into one virtual environment.
ARG PYTHON=3.13
FROM python:${PYTHON}-slim-trixie AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /opt/interlace
ENV PATH=/opt/interlace/bin:$PATH
WORKDIR /src
RUN apt-get update && apt-get install --yes --no-install-recommends gcc libc6-dev
COPY requirements/build.txt requirements/compile.txt requirements/runtime.txt requirements/
RUN pip install --require-hashes --only-binary=:all: -r requirements/runtime.txt \
 && python -m venv /opt/build \
 && /opt/build/bin/pip install --require-hashes --only-binary=:all: -r requirements/build.txt \
    -r requirements/compile.txt
COPY pyproject.toml README.md LICENSE CHANGELOG.md ./
COPY clients/python clients/python
COPY service service
COPY tools/compile.py tools/
RUN /opt/build/bin/pip wheel --no-deps --no-build-isolation --wheel-dir /wheels ./clients/python . \
 && pip install --no-deps /wheels/*.whl \
 && /opt/build/bin/python tools/compile.py /opt/interlace/lib/python*/site-packages \
 && python -m compileall -q /opt/interlace

# Run stage: the environment alone; no compiler, no build tool, no root.
FROM python:${PYTHON}-slim-trixie
COPY --from=build /opt/interlace /opt/interlace
ENV PATH=/opt/interlace/bin:$PATH PYTHONUNBUFFERED=1
USER 10001:10001
EXPOSE 7070
STOPSIGNAL SIGTERM
ENTRYPOINT ["/opt/interlace/bin/interlace", "serve"]
CMD ["--config", "/etc/interlace"]
