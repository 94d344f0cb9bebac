"""Databases that several files of service tests start from."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.support import postgres
from tests.support.stories import Story, plan
from tests.support.trustee_databases import OPEN, Backend, Checked, tell, with_sql

from notalone_server.edge import database


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    with postgres.server() as url:
        yield url


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def backend(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Backend:
    cluster = request.getfixturevalue("cluster") if request.param == "postgresql" else ""
    return Backend(tmp_path_factory.mktemp("trustee"), cluster)


@pytest.fixture(autouse=True)
def _close() -> Iterator[None]:
    yield
    while OPEN:
        OPEN.pop().dispose()


@pytest.fixture(scope="module")
def filled(backend: Backend) -> str:
    """A trustee's database after two batches."""
    url = backend.new()
    with pytest.MonkeyPatch.context() as patch:
        urls = iter([url])
        with_sql(patch, lambda: Checked(next(urls, "sqlite://")))
        story = Story.begin(plan(3, 2, (2, 3), slots=(1,)), b"filled")
        tell(story)
    engine = database.open_engine(url)
    if engine.dialect.name == "sqlite":
        with engine.connect() as connection:
            connection.exec_driver_sql("COMMIT")
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    engine.dispose()
    while OPEN:
        OPEN.pop().dispose()
    return url


@pytest.fixture
def copy(filled: str, backend: Backend) -> str:
    return backend.copy(filled)
