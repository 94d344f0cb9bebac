#!/bin/sh
# Builds the wheel, installs it in a clean environment and checks what an integrator would get.
set -eu
cd "$(dirname "$0")/.."
root="$(pwd)"
uv="$root/.tools/bin/uv"
export UV_PYTHON_DOWNLOADS=never UV_NO_PROGRESS=1
if [ -e /etc/ssl/certs/ca-certificates.crt ]; then export UV_SYSTEM_CERTS="${UV_SYSTEM_CERTS:-true}"; fi

clean="$(mktemp -d)"
trap 'rm -rf "$clean"' EXIT

rm -rf dist
"$uv" build --quiet --wheel --python .venv/bin/python
wheel="$(ls "$root"/dist/*.whl)"
# The locked versions: a release of somebody else's must not turn this check red.
"$uv" export --quiet --frozen --all-extras --no-dev --no-emit-project --no-hashes -o "$clean/constraints.txt" >/dev/null
"$uv" venv --quiet --python .venv/bin/python "$clean/venv"
python="$clean/venv/bin/python"

# Not in the repository's directory: there, Python would find the sources instead of the wheel.
cd "$clean"
"$uv" pip install --quiet --python "$python" -c constraints.txt "$wheel"
"$python" - <<'PY'
from importlib.util import find_spec

for name in ("crypto", "server", "client_sdk", "demo", "tests", "tools"):
    if find_spec(name) is not None:
        raise SystemExit(f"error: the wheel brings a top-level name it must not: {name}")
for name in ("notalone_crypto", "notalone_server", "notalone_client", "notalone_demo"):
    if find_spec(name) is None:
        raise SystemExit(f"error: the wheel lacks {name}")
for name in ("fastapi", "sqlalchemy", "httpx"):
    if find_spec(name) is not None:
        raise SystemExit(f"error: a plain install pulls in {name}; that belongs in an extra")
import notalone_crypto.primitives.group
PY
"$uv" pip install --quiet --python "$python" -c constraints.txt "$wheel[demo]"
"$clean/venv/bin/notalone" --help >/dev/null
echo "wheel: $(basename "$wheel") installs cleanly; notalone --help runs"
