#!/bin/sh
# Makes .venv from uv.lock: `tools/setup.sh runtime` or `tools/setup.sh dev`.
# Needs only Python 3.11 or newer, and libsodium, which it installs when it may (root on Debian).
set -eu
cd "$(dirname "$0")/.."

profile="${1:-dev}"
python="${PYTHON:-python3}"

say() { printf '%s\n' "$*" >&2; }
die() { say "error: $*"; exit 1; }

# apt only where that is both possible and allowed; otherwise name the package and stop.
debian_package() {
    if [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null 2>&1; then
        say "installing Debian's $1 ($2)"
        # An image may come without package lists: refresh them only if the first try finds nothing.
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "$1" </dev/null >&2 || {
            apt-get update -qq </dev/null >&2
            DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "$1" </dev/null >&2
        }
    else
        die "$2 is missing. On Debian or Ubuntu: sudo apt-get install $1 (elsewhere: your system's package), then run make again."
    fi
}

command -v "$python" >/dev/null 2>&1 || die "no '$python' found: install Python 3.11 or newer, or run make PYTHON=/path/to/python3."
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
    die "Python 3.11 or newer is needed; '$python' is $("$python" -V 2>&1). Run make PYTHON=/path/to/python3.11."

# The same names, in the same order, as crypto/notalone_crypto/primitives/group.py tries.
has_libsodium() {
    "$python" - <<'PY'
import ctypes, sys
for name in ("libsodium.so.23", "libsodium.so.26", "libsodium.so", "libsodium.dylib"):
    try:
        ctypes.CDLL(name).crypto_scalarmult_ristretto255
    except (OSError, AttributeError):
        continue
    sys.exit(0)
sys.exit(1)
PY
}
has_libsodium || debian_package libsodium23 "libsodium 1.0.18 or newer"
has_libsodium || die "libsodium was installed but cannot be loaded (1.0.18 or newer, with ristretto255, is needed)."

# uv lives beside the project's environment, not inside it: an exact sync would remove it.
if ! .tools/bin/uv --version >/dev/null 2>&1 || ! cmp -s tools/uv.txt .tools/uv.txt; then
    rm -rf .tools
    if ! "$python" -m venv .tools >/dev/null 2>&1; then
        rm -rf .tools
        debian_package python3-venv "Python's venv module"
        "$python" -m venv .tools
    fi
    .tools/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r tools/uv.txt
    cp tools/uv.txt .tools/uv.txt
fi

# --frozen: what is installed is what was reviewed. Never a Python downloaded on the side.
export UV_PYTHON_DOWNLOADS=never UV_NO_PROGRESS=1
# Behind an institution's proxy only the system knows the right authorities; without a system store, uv brings its own.
if [ -e /etc/ssl/certs/ca-certificates.crt ]; then export UV_SYSTEM_CERTS="${UV_SYSTEM_CERTS:-true}"; fi
interpreter="$("$python" -c 'import sys; print(sys.executable)')"
case "$profile" in
    runtime) .tools/bin/uv sync --quiet --frozen --all-extras --no-dev --inexact --python "$interpreter" ;;
    dev) .tools/bin/uv sync --quiet --frozen --all-extras --python "$interpreter" ;;
    *) die "unknown profile '$profile': runtime or dev" ;;
esac
