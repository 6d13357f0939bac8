"""What holds for every test: in CI a skipped one is a failure, and vectors are optional."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

VECTORS = Path(os.environ.get("INTERLACE_VECTORS", "../shared/vectors"))

_skipped: list[str] = []


def pytest_configure() -> None:
    """Takes Ctrl-C even where a shell started us in its background, which makes every child of ours
    ignore it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """Leaves the tests over the vectors out where the folder is absent."""
    if collection_path.name == "vectors" and not VECTORS.is_dir():
        return True
    return None


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Remembers what was skipped."""
    if report.skipped and not hasattr(report, "wasxfail"):
        _skipped.append(report.nodeid)


def pytest_collectreport(report: pytest.CollectReport) -> None:
    """Remembers what was skipped while it was collected."""
    if report.skipped:
        _skipped.append(report.nodeid)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fails the run if a test was skipped in CI."""
    if os.environ.get("CI") and _skipped and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Says so."""
    if os.environ.get("CI") and _skipped:
        terminalreporter.write_sep(
            "=", f"{len(_skipped)} skipped: in CI that is a failure", red=True
        )
