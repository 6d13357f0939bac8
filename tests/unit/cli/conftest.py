"""One `interlace dev` for every test of the command."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
import structlog
from command import NOBODY, DevService, dev_service


@pytest.fixture(scope="session")
def dev(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DevService]:
    """A running `interlace dev`; its shop behaves, and its broker is shared."""
    with dev_service(tmp_path_factory.mktemp("dev")) as service:
        yield service


@pytest.fixture(autouse=True)
def log_as_before() -> Iterator[None]:
    """`serve` and `dev` set the log of their process up; within this one that is undone."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


@pytest.fixture
def at_dev(dev: DevService, monkeypatch: pytest.MonkeyPatch) -> DevService:
    """Makes the command talk to it, within this process."""
    for name, value in dev.environment.items():
        monkeypatch.setenv(name, value)
    return dev


@pytest.fixture
def at_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes the command talk to nobody, within this process."""
    monkeypatch.setenv("INTERLACE_SERVER", NOBODY)
    monkeypatch.setenv("INTERLACE_ADMIN", f"http://{NOBODY}")
