#!/bin/sh
# Locks every dependency with its hashes, for Python 3.11 to 3.14, naming no index.
# Needs `uv` on the PATH. Our own two packages are left out: they are installed editable.
set -eu
cd "$(dirname "$0")/.."
compile() {
    uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
        --no-emit-find-links --no-header --no-annotate --no-emit-package interlace \
        --no-emit-package interlaced "$@"
}
compile pyproject.toml --all-extras -o requirements/runtime.txt
for group in build compile check test bench; do
    compile --group "$group" -c requirements/runtime.txt -o "requirements/$group.txt"
done
# The two ends of what the client admits; tools/client_matrix.py proves both. Without --upgrade the
# pins of the file that is there would stay, and the ends would no longer be the ends.
for end in lowest-direct highest; do
    compile clients/python/pyproject.toml --upgrade --resolution "$end" \
        -o "requirements/client-${end%-direct}.txt"
done
