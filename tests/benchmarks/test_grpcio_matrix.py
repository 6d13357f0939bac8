"""The comparison of grpcio versions: its server, its loads, its table. Nothing is downloaded."""

from __future__ import annotations

import asyncio
import sys
from contextlib import ExitStack
from pathlib import Path

from benchmarks.harness.process import split_cores
from benchmarks.harness.results import Case, Sample
from benchmarks.load.http2 import connect
from benchmarks.service.measure import MAIN, Pace
from tools.grpcio_matrix import (
    BODY,
    PINNED,
    SHAPES,
    PingPong,
    install,
    measure,
    serve,
    table,
)


async def test_every_shape_is_answered_without_an_error(tmp_path: Path) -> None:
    pace = Pace(seconds=0.05, rounds=2, ramp=0.01, warm=0.02)
    with ExitStack() as stack:
        sides = [
            serve(stack, Path(sys.executable), tmp_path, name=name, cores=split_cores())
            for name in ("one", "other")
        ]
        cases = await measure(sides, pace, least=1)
    assert [case.variant["shape"] for case in cases] == list(SHAPES)
    for case in cases:
        assert not case.notes
        assert [sample.side for sample in case.samples] == ["one", "other", "one", "other"]
        assert all(sample.values["calls"] > 0 for sample in case.samples)
        assert all(sample.values[MAIN] > 0 for sample in case.samples)


async def test_a_run_ends_after_the_round_in_which_its_time_is_up(tmp_path: Path) -> None:
    pace = Pace(seconds=0.02, rounds=50, ramp=0.0, warm=0.02)
    with ExitStack() as stack:
        side = serve(stack, Path(sys.executable), tmp_path, name="one", cores=split_cores())
        cases = await measure([side], pace, limit=0.0, least=1)
    assert {len(case.samples) for case in cases} == {1}


async def test_a_stream_that_breaks_is_an_error_and_no_call(tmp_path: Path) -> None:
    with ExitStack() as stack:
        side = serve(stack, Path(sys.executable), tmp_path, name="one", cores=split_cores())
        load = PingPong(await connect(side.address), streams=2)
        await load.start()
        side.child.stop()
        await load.stop()
    assert load.tally.errors == 2


async def test_a_stream_that_breaks_with_nothing_under_way_is_not_awaited() -> None:
    load = PingPong(_NoConnection(), streams=1)  # type: ignore[arg-type]  # it only sends
    await load.start()
    await asyncio.gather(load.stop(), _answer_and_break(load))
    assert (load.tally.done, load.tally.errors) == (1, 1)


async def _answer_and_break(load: PingPong) -> None:
    load._echoes[0].on_message(BODY)
    load._echoes[0].on_end("lost")


async def test_a_wrong_message_is_an_error_and_no_call() -> None:
    load = PingPong(_NoConnection(), streams=1)  # type: ignore[arg-type]  # it only sends
    await load.start()
    load._echoes[0].on_message(BODY[:-1])
    assert (load.tally.done, load.tally.errors) == (0, 1)


def test_the_table_sets_every_version_beside_the_pinned_one() -> None:
    samples = tuple(
        Sample(side, {MAIN: value}) for value in (100.0, 110.0) for side in (PINNED, "9.9.9")
    )
    doubled = tuple(
        Sample(one.side, {MAIN: one.values[MAIN] * (1 + (one.side == "9.9.9"))}) for one in samples
    )
    case = Case("service", "grpcio", {"shape": "unary"}, MAIN, doubled, notes=("why",))
    lines = table([case], against=PINNED)
    assert lines[2:] == [
        f"| {PINNED} | unary | 105 [100, 110] | 1.00 [1.00, 1.00] |",
        "| 9.9.9 | unary | 210 [200, 220] | 2.00 [2.00, 2.00] |",
        "failed: why",
    ]
    assert table([case], against="absent")[2].endswith("|  |")


def test_versions_come_as_wheels_with_the_loop_of_the_service(tmp_path: Path) -> None:
    command = install(tmp_path, "1.78.2")
    assert command[:4] == [str(tmp_path / "bin" / "python"), "-m", "pip", "install"]
    assert command[command.index("--only-binary") + 1] == ":all:"
    assert command[-2] == "grpcio==1.78.2"
    assert command[-1].startswith("uvloop==")


class _NoConnection:
    def open(self, *_: object) -> _NoStream:
        return _NoStream()


class _NoStream:
    def send(self, message: bytes) -> None:
        assert message == BODY
