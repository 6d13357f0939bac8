"""A connector's document becomes its Manifest."""

from pathlib import Path

import pytest
from manifest_rig import MEMORY, SHOP, load_text, problems_of

from interlaced.connectors.registry import MissingLibrary
from interlaced.manifest import read_connector
from interlaced.manifest.codes import Code


def test_a_sink_may_have_a_policy(tmp_path: Path) -> None:
    text = MEMORY.replace("sinks: {Orders: {}}", "sinks: {Orders: {policy: {deadline: 3s}}}")
    orders = load_text(tmp_path, text).connectors["orders"]
    assert orders.policy_of("sinks", "Orders").config.deadline == 3.0
    assert orders.policy_of("sinks", "Orders").origin("deadline") == "sink Orders"


def test_a_missing_library_is_told_with_its_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def load_kind(kind: str) -> object:
        raise MissingLibrary(kind, "nats")

    monkeypatch.setattr(read_connector, "load_kind", load_kind)
    (problem,) = problems_of(tmp_path, MEMORY)
    assert problem.code is Code.MISSING_LIBRARY
    assert problem.hint == "pip install 'interlaced[nats]'"


def test_the_digest_changes_with_what_the_section_says(tmp_path: Path) -> None:
    texts = [
        SHOP,
        SHOP.replace("deadline: 10s", "deadline: 11s"),
        SHOP.replace("/orders", "/order"),
        SHOP.replace("deadline: 5s", "deadline: 6s"),
    ]
    digests = [load_text(tmp_path, text).connectors["shop"].digest for text in texts]
    assert len(set(digests)) == 4
    again = load_text(tmp_path, "# a comment\n" + SHOP).connectors["shop"].digest
    assert again == digests[0]
