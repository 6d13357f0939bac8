"""A worker as a process: its order, its report, and its end. The rest is in tests/system."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from interlaced.core.seat import Seat
from interlaced.settings import Ingress, Settings
from interlaced.workers.orders import Order, Report

COMMAND = [sys.executable, "-m", "interlaced.workers"]
DESK = """\
interlace: 1
connector: desk
upstream: {rest: "http://127.0.0.1:1"}
operations: {Hello: {get: /hello}}
"""
LIMIT = 30


@pytest.fixture
def started() -> Iterator[subprocess.Popen[bytes]]:
    pipe = subprocess.PIPE
    with subprocess.Popen(COMMAND, stdin=pipe, stdout=pipe, stderr=pipe) as process:
        yield process
        process.kill()


def order(folder: Path, **settings: object) -> bytes:
    whole = Settings(
        config=(folder,),
        ingress=Ingress(port=0),
        admin_port=0,
        seat=Seat(1, 2, folder),
        drain_limit=1.0,
        **settings,  # type: ignore[arg-type]  # a test's own settings
    )
    return Order(whole, "json", "info").write()


def report_of(process: subprocess.Popen[bytes], line: bytes) -> Report | None:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(line)
    process.stdin.flush()
    return Report.read(process.stdout.readline())


def test_a_worker_serves_until_its_supervisor_is_gone(
    tmp_path: Path, started: subprocess.Popen[bytes]
) -> None:
    (tmp_path / "desk.yaml").write_text(DESK)
    assert report_of(started, order(tmp_path)) == Report(is_serving=True, lines=[])
    _, told = started.communicate(timeout=LIMIT)
    assert started.returncode == 0
    for record in ("server.started", "worker.orphaned", "server.stopped"):
        assert f'"event_name": "{record}"'.encode() in told
    assert told.count(b'"interlace.worker": 1') >= 3


def test_a_wrong_manifest_is_reported_with_its_problems(
    tmp_path: Path, started: subprocess.Popen[bytes]
) -> None:
    (tmp_path / "desk.yaml").write_text(DESK.replace("operations", "operation"))
    report = report_of(started, order(tmp_path))
    assert report is not None
    assert (report.is_serving, report.is_config) == (False, True)
    assert "desk.yaml:4:1" in report.lines[0]
    assert started.wait(LIMIT) == 1


def test_a_wrong_setting_is_reported(tmp_path: Path, started: subprocess.Popen[bytes]) -> None:
    report = report_of(started, order(tmp_path, max_message=0))
    assert report == Report(
        is_serving=False, error="max_message must be more than 0", lines=[], is_config=True
    )


def test_a_worker_without_an_order_says_who_starts_workers(
    started: subprocess.Popen[bytes],
) -> None:
    _, told = started.communicate(timeout=LIMIT)
    assert started.returncode == 1
    assert b"interlace serve --workers" in told
