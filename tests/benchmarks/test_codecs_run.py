"""The run as people start it: a subset through the command line, its file, and its tables."""

from __future__ import annotations

import json
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
from benchmarks.codecs.codec import ACTIONS
from benchmarks.codecs.libraries import MODULES, load
from benchmarks.codecs.memory import blocks_of, peak_of
from benchmarks.codecs.plan import Effort, find_documents, open_shape
from benchmarks.codecs.run import FAILED, QUICK_SHAPES, plan, run_tasks
from benchmarks.codecs.shapes import SHAPES, shape
from benchmarks.codecs.table import render, render_long
from benchmarks.codecs.timed import Turns, order_of
from benchmarks.codecs.worker import FailedWorkerError, Task
from benchmarks.harness.results import Case, Interval, Run, Sample, read_run

ROOT = Path(__file__).resolve().parents[2]


def run_it(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "benchmarks.codecs", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


def scenarios(run: Run) -> set[str]:
    return {case.scenario for case in run.cases}


def test_a_small_run_measures_everything_of_its_libraries(tmp_path: Path) -> None:
    out = tmp_path / "codecs.json"
    told = run_it(
        *("--quick", "--only", "protobuf,orjson", "--shape", "typical_record", "--json", str(out))
    )
    assert told.returncode == 0, told.stderr
    run = read_run(out)
    assert run.kind == "codecs"
    assert run.machine["protobuf"] == "upb"
    assert str(tmp_path) not in run.command
    assert scenarios(run) == {*ACTIONS, "size", "allocations", "memory"}
    for case in run.cases:
        if case.scenario in ACTIONS:
            counts = dict.fromkeys({one.side for one in case.samples}, 0)
            for sample in case.samples:
                counts[sample.side] += 1
                assert sample.values["cpu_us_per_call"] > 0
            assert all(count >= 20 for count in counts.values())
            assert ("tier" in case.variant) is True
    assert "typical_record" in told.stdout
    assert "protobuf" in told.stdout


def test_tiers_are_never_in_one_case(tmp_path: Path) -> None:
    out = tmp_path / "codecs.json"
    assert (
        run_it(
            "--quick", "--only", "msgpack,msgspec-json", "--shape", "tiny_flat", "--json", str(out)
        ).returncode
        == 0
    )
    tiers = {
        (case.variant["tier"], sample.side)
        for case in read_run(out).cases
        if case.scenario == "decode"
        for sample in case.samples
    }
    assert tiers == {("untyped", "msgpack"), ("typed", "msgspec-json")}


def test_a_corpus_adds_its_documents(tmp_path: Path) -> None:
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    (corpus / "small.json").write_text(json.dumps({"numbers": [1, 2, 3], "text": "ü"}))
    out = tmp_path / "codecs.json"
    told = run_it(
        *("--quick", "--only", "orjson,protobuf", "--shape", "tiny_flat"),
        *("--corpus", str(corpus), "--json", str(out)),
    )
    assert told.returncode == 0, told.stderr
    found = [case for case in read_run(out).cases if case.variant.get("shape") == "small"]
    assert {sample.side for case in found for sample in case.samples} == {"orjson"}
    assert {"size", "encode", "decode"} <= {case.scenario for case in found}


def test_an_unknown_library_or_shape_ends_with_the_names_that_there_are() -> None:
    for option in ("--only", "--shape"):
        told = run_it(option, "nothing")
        assert told.returncode == 2
        assert "no such name: nothing; there are" in told.stderr


def test_a_whole_run_has_every_library_shape_and_transcode() -> None:
    tasks = plan([], [], [], is_quick=False)
    assert {task.shape for task in tasks if task.verb == "matrix"} == set(SHAPES)
    assert all(task.libraries == tuple(MODULES) for task in tasks if task.verb == "matrix")
    assert {task.shape for task in tasks if task.verb == "transcode"} > set(SHAPES)
    assert all(len(task.libraries) == 1 for task in tasks if task.verb == "memory")


def test_a_quick_run_has_the_transcodes_of_the_budgets() -> None:
    tasks = plan([], [], [], is_quick=True)
    assert {task.shape for task in tasks if task.verb == "matrix"} == set(QUICK_SHAPES)
    assert {task.shape for task in tasks if task.verb == "transcode"} >= {
        *("typical_record", "deep_nested", "list_1000", "converting", "converting_list"),
    }


def test_no_run_has_fewer_than_20_rounds() -> None:
    assert Effort.quick().rounds >= 20
    assert Effort.full().rounds >= 20


def test_no_window_of_the_matrix_is_shorter_than_5_ms() -> None:
    assert Effort.quick().window_s >= 0.005
    assert Effort.full().window_s >= 0.005


def test_every_action_of_every_library_has_a_turn_in_each_round_and_no_fixed_place() -> None:
    cells = [(library, action) for library in "abcd" for action in ("encode", "decode")]
    order = order_of(cells, 20)
    rounds = [order[at : at + len(cells)] for at in range(0, len(order), len(cells))]
    assert len(rounds) == 20
    assert all(sorted(one) == sorted(cells) for one in rounds)
    assert order == order_of(cells, 20)
    for cell in cells:
        assert len({one.index(cell) for one in rounds}) > 3
        behind = {after for before, after in pairwise(order) if before == cell}
        assert len(behind) > 3


def test_a_slow_spell_of_the_machine_slows_every_library_alike() -> None:
    """What lasts a while must not lie on the one whose rounds were due, as if it were slower."""
    codecs = {name: load(name).open_codec(shape("tiny_flat")) for name in ("json", "orjson")}
    turns = Turns(codecs, shape("tiny_flat"), Effort(20, 0.0001, 0.0001, is_quick=True))
    cells = len(set(turns.order))
    spell = [1.0] * (10 * cells) + [3.0] * (10 * cells)  # the second half of the run is slow
    for times in turns.read(spell).values():
        for seconds in times.values():
            assert len(seconds) == 20
            assert seconds[-1] == pytest.approx(3 * seconds[0])
            assert sum(one > 2 * seconds[0] for one in seconds) == 10


def test_a_document_may_be_packed(tmp_path: Path) -> None:
    import lzma

    (tmp_path / "packed.json.xz").write_bytes(lzma.compress(b'{"a": 1}'))
    (found,) = find_documents(tmp_path)
    opened = open_shape(str(found))
    assert (opened.name, opened.message, opened.data) == ("packed", "", {"a": 1})


def test_the_blocks_that_a_value_holds_are_the_same_each_time() -> None:
    data = shape("typical_record").data
    for name in ("protobuf", "orjson", "msgspec-json", "msgpack"):
        codec = load(name).open_codec(shape("typical_record"))
        assert len({tuple(blocks_of(codec, data).values()) for _ in range(3)}) == 1


def test_the_peak_of_kept_values_is_at_least_their_bytes() -> None:
    one = shape("list_1000")
    codec = load("orjson").open_codec(one)
    assert peak_of(codec, "decode_keep", one.data)["peak_bytes_per_value"] > len(
        codec.encode(one.data)
    )


def test_a_process_that_fails_is_told_and_the_rest_goes_on() -> None:
    tasks = plan(["orjson", "json"], ["tiny_flat", "sparse_optionals"], [], is_quick=True)

    def perform(task: Task) -> list[Case]:
        if task.shape == "tiny_flat":
            raise FailedWorkerError("it ended with 1:\nTypeError: no")
        return [Case("codecs", "size", {"shape": task.shape}, "bytes")]

    told: list[str] = []
    run = run_tasks(tasks, "command", told.append, perform)
    assert [case.scenario for case in run.cases] == [FAILED, "size"]
    assert run.cases[0].notes == ("matrix tiny_flat: TypeError: no",)
    assert "failed: matrix tiny_flat: TypeError: no" in render(run.cases)
    assert any("TypeError: no" in line for line in told)


def test_the_matrix_has_the_libraries_and_the_transcodes_stand_apart() -> None:
    shape_of = {"shape": "tiny_flat"}
    time = {"cpu_us_per_call": 1.5}
    way = {"direction": "hot_path", "fields": "mixed", "oracle": "json_format", **shape_of}
    ratio = Interval(9.0, 10.0, 11.0)
    cases = [
        Case("codecs", "decode", {"tier": "typed", **shape_of}, "", (Sample("protobuf", time),)),
        Case("codecs", "size", shape_of, "bytes", (Sample("protobuf", {"raw": 1_234}),)),
        Case("codecs", "transcode", way, "", (Sample("interlace", time),), ratio),
    ]
    matrix, transcodes = render(cases).strip().split("\n\n")
    assert [line.split()[0] for line in matrix.splitlines()[1:]] == ["library", "protobuf"]
    assert "1,234" in matrix
    assert "10.0 (9.0 to 11.0)" in transcodes


def test_the_long_form_has_an_interval_beside_each_median() -> None:
    samples = tuple(Sample("orjson", {"cpu_us_per_call": 1.0 + at / 10}) for at in range(20))
    told = render_long([Case("codecs", "decode", {"shape": "tiny_flat"}, "", samples)])
    assert told.splitlines()[0].split()[-5:] == ["median", "IQR", "95", "%", "rounds"]
    assert told.splitlines()[1].split()[:3] == ["decode,", "tiny_flat:", "orjson"]
    assert " to " in told


def test_nothing_measured_renders_as_nothing() -> None:
    assert render([]).strip() == ""
