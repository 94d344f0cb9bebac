#!/bin/sh
# Regenerates specs/vectors and fails if a byte differs from what was there before.
# Compared with a copy rather than with git: works in a source archive too.
set -eu
cd "$(dirname "$0")/.."

before="$(mktemp -d)"
trap 'rm -rf "$before"' EXIT
mkdir -p specs/vectors
cp -R specs/vectors/. "$before"
.venv/bin/python tools/make_vectors.py
if diff -r "$before" specs/vectors >&2; then
    echo "vectors: regenerated, no difference"
else
    echo "error: regenerating specs/vectors changed it. If the change is meant, review and commit it." >&2
    exit 1
fi
