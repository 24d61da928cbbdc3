#!/usr/bin/env bash
# Pin every version, with hashes, of what the images install: one file a role. Needs the network; run it on purpose.
set -euo pipefail
cd "$(dirname "$0")/.."
venv=$(mktemp -d)
trap 'rm -rf "$venv"' EXIT
python3 -m venv "$venv"
"$venv/bin/python" -m pip install --quiet uv
compile() { "$venv/bin/uv" pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header pyproject.toml "$@"; }
compile --extra serve --extra sinks --extra s3 --output-file deploy/locks/serve.txt
compile --extra demo --extra serve --extra sinks --extra s3 --output-file deploy/locks/demo.txt
compile --extra gpu --output-file deploy/locks/gpu.txt
compile --extra trainer --output-file deploy/locks/trainer.txt
