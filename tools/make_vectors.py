"""Writes specs/vectors: every file of cases, its schema, and the manifest with the counts.

Owns paths and the rule that frozen ciphertexts are never rewritten: without
`--freeze` they are only opened. Refuses to know any case.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "crypto")]

from tools.vectors import library  # noqa: E402 - the path is set above
from tools.vectors.book import encode  # noqa: E402
from tools.vectors.registry import Table, check, schema_for  # noqa: E402

FOLDER = ROOT / "specs" / "vectors"


def main() -> None:
    """Regenerate everything that is not frozen."""
    counts: dict[str, int] = {}
    (FOLDER / "schema").mkdir(parents=True, exist_ok=True)
    for book in library.books():
        (FOLDER / f"{book.name}.json").write_text(book.encode(), encoding="utf-8")
        counts[f"{book.name}.json"] = len(book.cases)
        write_schema(book.name, book.description, book.cases)
    frozen = frozen_file()
    counts[f"{library.FROZEN}.json"] = len(frozen["cases"])
    write_schema(library.FROZEN, frozen["description"], frozen["cases"])
    manifest = {"files": dict(sorted(counts.items())), "total": sum(counts.values())}
    (FOLDER / "manifest.json").write_text(encode(manifest), encoding="utf-8")
    print(f"vectors: {manifest['total']} cases in {len(counts)} files")


def frozen_file() -> Table:
    """The frozen cases, each checked by opening; new ones only when asked for."""
    path = FOLDER / f"{library.FROZEN}.json"
    if "--freeze" in sys.argv[1:]:
        path.write_text(library.freeze().encode(), encoding="utf-8")
    if not path.is_file():
        raise SystemExit(f"error: {path} is missing. Make it once: python tools/make_vectors.py --freeze")
    frozen: Table = json.loads(path.read_text(encoding="utf-8"))
    for case in frozen["cases"]:
        check(case, frozen.get("shared", {}))
    return frozen


def write_schema(name: str, title: str, cases: list[Table]) -> None:
    """The schema of one file."""
    operations = sorted({case["operation"] for case in cases})
    path = FOLDER / "schema" / f"{name}.schema.json"
    path.write_text(encode(schema_for(title, operations)), encoding="utf-8")


if __name__ == "__main__":
    main()
