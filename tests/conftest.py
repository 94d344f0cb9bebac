"""Settings that every test shares: Hypothesis profiles and the third-party vectors' place."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

ROOT = Path(__file__).resolve().parents[1]

# dev explores; ci repeats the same examples, so that a red build can be repeated at home.
settings.register_profile("dev", deadline=None, print_blob=True)
settings.register_profile(
    "ci",
    deadline=None,
    derandomize=True,
    database=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci" if os.environ.get("CI") else "dev"))


@pytest.fixture(scope="session")
def third_party_vectors() -> Path:
    """Folder of the RFC and CFRG vectors, which are read in place and never copied here."""
    named = os.environ.get("NOTALONE_VECTORS")
    folder = Path(named) if named else ROOT.parent / "shared" / "vectors"
    if not folder.is_dir():
        pytest.skip(f"third-party vectors not present: set NOTALONE_VECTORS ({folder} does not exist)")
    return folder
