"""Writes the services' OpenAPI descriptions into specs/openapi, from the running code.

Owns these files. Refuses to know routes; `tests/services/test_openapi.py`
refuses files that are not current.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / part) for part in ("", "crypto", "server", "client_sdk/python", "demo")]

from tests.support.interfaces import every_interface  # noqa: E402 - the path is set above

FOLDER: Final = ROOT / "specs" / "openapi"
# The file's name, and the interface that it describes (an issuer by cards or by mail has the same one).
FILES: Final = {
    "board": "board",
    "issuer": "issuer",
    "ceremony": "exchange",
    "trustee": "trustee",
    "operations": "operations",
}


def text(description: dict[str, Any]) -> str:
    """A description as it is written."""
    return json.dumps(description, indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def main() -> None:
    """Rewrite the files."""
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, every_interface(Path(folder)) as interfaces:
        for name, interface in FILES.items():
            path = FOLDER / f"{name}.json"
            new = text(interfaces[interface].api.openapi())
            old = path.read_text(encoding="utf-8") if path.exists() else ""
            path.write_text(new, encoding="utf-8")
            print(f"{path.relative_to(ROOT)}: {'current' if new == old else 'rewritten'}")


if __name__ == "__main__":
    main()
