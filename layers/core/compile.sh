#!/bin/sh
# compile.sh VERSION LAYER - bytecode for Python VERSION beside every source file of the layer in folder LAYER.
#
# Lambda cannot keep bytecode of its own: without ours each cold start compiles every module again, 0.8 s for the API.
# Unchecked, because Lambda unpacks files with new times, which would void bytecode that remembers its source's time.
# The same file lies beside each layer's Makefile: `sam build` hands a Makefile nothing but its own folder.
set -eu
version=$1
layer=$2

find "$layer" -type d -name __pycache__ -prune -exec rm -rf {} +
if UV_HTTP_TIMEOUT=20 "${UV:-uv}" run --quiet --no-project --no-config --python "$version" --python-preference managed \
  python -c "import sys; sys.exit('%d.%d' % sys.version_info[:2] != '$version')" 2>/dev/null; then
  "${UV:-uv}" run --quiet --no-project --no-config --python "$version" --python-preference managed \
    python -m compileall -q -j 0 --invalidation-mode unchecked-hash -s "$layer" -p /opt "$layer/python"
else
  echo "warning: Python $version is neither here nor can it be downloaded; this layer has no bytecode and starts slower." >&2
  echo "         Install it with: uv python install $version" >&2
fi
