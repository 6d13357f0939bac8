"""The machine block has what a reader needs to judge a figure."""

from __future__ import annotations

import json

import pytest
from benchmarks.harness.machine import WrongProtobufError, describe, finish
from google.protobuf.internal import api_implementation


def test_the_block_names_machine_libraries_and_load() -> None:
    block = finish(describe({"server": [0], "load": [1]}))
    assert block["protobuf"] == "upb"
    assert block["given"] == {"server": [0], "load": [1]}
    assert block["libraries"]["grpcio"] != "not installed"
    assert {"cpu", "cores", "kernel", "python", "build", "loop", "commit"} <= set(block)
    assert len(block["load_before"]) == len(block["load_after"]) == 3
    assert json.dumps(block)


def test_the_block_tells_what_bends_a_clock() -> None:
    block = describe()
    assert block["governor"]
    assert block["hypervisor"]
    assert block["threads_per_core"] == "unknown" or block["threads_per_core"] >= 1


def test_a_slow_protobuf_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api_implementation, "Type", lambda: "python")
    with pytest.raises(WrongProtobufError, match="python"):
        describe()
