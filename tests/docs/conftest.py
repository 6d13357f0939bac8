"""One `interlace dev` for all documents."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from command import DevService, dev_service


@pytest.fixture(scope="session")
def dev(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DevService]:
    """A running `interlace dev`."""
    with dev_service(tmp_path_factory.mktemp("docs")) as service:
        yield service
