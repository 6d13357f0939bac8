"""What h2load and ghz print is read, and their failures are errors."""

from __future__ import annotations

from pathlib import Path

import pytest
from benchmarks.load import tools
from benchmarks.load.tools import ToolError, read_ghz, read_h2load
from benchmarks.service import requests
from benchmarks.service.tools import failures_in
from google.protobuf import descriptor_pool
from google.protobuf.descriptor_pb2 import FileDescriptorSet

H2LOAD = """
finished in 1.80s, 1109.38 req/s, 680.78KB/s
requests: 2000 total, 2000 started, {counts}
traffic: 1.20MB (1256779) total, 6.15KB (6300) headers (space savings 96.11%), 1.03MB (1082934) data
"""


def test_h2load_is_read() -> None:
    counts = "2000 done, 2000 succeeded, 0 failed, 0 errored, 0 timeout"
    outcome = read_h2load(H2LOAD.format(counts=counts))
    assert (outcome.calls, outcome.errors, outcome.seconds) == (2000, 0, 1.8)
    assert outcome.data == 1_082_934


def test_what_h2load_could_not_do_is_an_error() -> None:
    counts = "2000 done, 1990 succeeded, 6 failed, 3 errored, 1 timeout"
    outcome = read_h2load(H2LOAD.format(counts=counts))
    assert (outcome.calls, outcome.errors) == (1990, 10)


def test_anything_else_is_refused() -> None:
    with pytest.raises(ToolError, match="h2load said: no"):
        read_h2load("no")


def test_a_status_that_ghz_saw_is_an_error() -> None:
    report = {
        "count": 10,
        "total": 2e9,
        "statusCodeDistribution": {"OK": 8, "Unavailable": 2},
        "latencyDistribution": [{"percentage": 50, "latency": 1_500_000}],
    }
    outcome = read_ghz(report)
    assert (outcome.calls, outcome.errors, outcome.seconds, outcome.p50_ms) == (8, 2, 2.0, 1.5)


def test_ghz_is_given_descriptors_that_stand_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(command: list[str]) -> str:
        assert command[-1] == "127.0.0.1:1"
        return '{"count": 1, "total": 1, "statusCodeDistribution": null, "latencyDistribution": []}'

    monkeypatch.setattr(tools, "_run", run)
    assert tools.run_ghz("127.0.0.1:1", requests.call(), calls=1, folder=tmp_path).errors == 1
    pool = descriptor_pool.DescriptorPool()
    for file in FileDescriptorSet.FromString((tmp_path / "api.protoset").read_bytes()).file:
        pool.Add(file)
    assert pool.FindServiceByName("interlace.v1.GatewayService")


def test_failures_are_counted_in_metrics() -> None:
    name = "rpc_server_call_duration_seconds_count"
    text = (
        f'{name}{{error_type="",rpc_method="a/Call",rpc_response_status_code="OK"}} 2000.0\n'
        f'{name}{{error_type="X",rpc_method="a/Call",rpc_response_status_code="UNAVAILABLE"}} 3.0\n'
    )
    assert failures_in(text) == 3
