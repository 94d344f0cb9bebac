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


# Workers take whole files in this order: who begins with the longest is not waited for at the end.
LONGEST_FIRST = (
    "test_storm.py",
    "test_live_troubles.py",
    "test_live_read_only.py",
    "test_released_sets.py",
    "test_board_faults.py",
    "test_live.py",
    "test_issuer_killed.py",
    "test_faults.py",
    "test_fuzz_http.py",
    "test_openapi.py",
    "test_bench_loader.py",
    "test_service_process.py",
    "test_deployment_running.py",
    "test_board_process.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    places = {name: place for place, name in enumerate(LONGEST_FIRST)}
    items.sort(key=lambda item: places.get(item.path.name, len(places)))
