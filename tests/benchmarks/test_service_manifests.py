"""What is measured is what a person could have configured: the manifests are valid."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from benchmarks.service import manifests
from typer.testing import CliRunner

from interlaced.cli.main import build

URL = "http://127.0.0.1:9"


def assert_valid(folder: Path) -> None:
    done = CliRunner().invoke(build(), ["lint", str(folder)])
    assert done.exit_code == 0, done.output


@pytest.mark.parametrize("policy", [manifests.DEFAULTS, manifests.ALL_OFF], ids=["default", "off"])
def test_the_connectors_of_a_run_are_valid(tmp_path: Path, policy: dict[str, object]) -> None:
    manifests.write_rest(tmp_path, URL, policy=policy)
    manifests.write_feeds(tmp_path)
    manifests.write_nats(tmp_path, "nats://127.0.0.1:4222")
    assert_valid(tmp_path)


@pytest.mark.parametrize("name", list(manifests.ONE_ON))
def test_each_policy_alone_is_valid(tmp_path: Path, name: str) -> None:
    manifests.write_rest(tmp_path, URL, policy=manifests.ONE_ON[name])
    assert_valid(tmp_path)


def test_the_fifty_connectors_of_the_boot_are_valid_and_fifty(tmp_path: Path) -> None:
    manifests.write_many(tmp_path, URL, 50)
    assert len(list(tmp_path.iterdir())) == 50
    assert_valid(tmp_path)


def test_nothing_but_the_room_of_the_bulkhead_differs_from_the_defaults() -> None:
    assert manifests.DEFAULTS == {"bulkhead": manifests.WIDE}


def test_all_on_has_every_policy_that_can_be_switched_off(tmp_path: Path) -> None:
    manifests.write_rest(tmp_path, URL, policy=manifests.ONE_ON["all"])
    written = json.loads((tmp_path / "api.yaml").read_text())["policy"]
    assert set(written) == {"bulkhead", "limit"}
    off = {name for name, value in manifests.ALL_OFF.items() if value is None}
    assert off == {"attempt_timeout", "breaker", "bulkhead"}
