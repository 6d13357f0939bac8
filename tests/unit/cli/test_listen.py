"""`watch` and `publish` against a real service."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command import DevService, dev_service, invoke, run

from interlace import Bookmark, Dropped, Gap, GapReason
from interlaced.cli.listen import _place, _remark, _start

pytestmark = pytest.mark.usefixtures("at_dev")
Capture = pytest.CaptureFixture[str]


def cursor_of(told: str) -> str:
    """The place that `watch` ended at."""
    (line,) = [line for line in told.splitlines() if line.startswith("cursor ")]
    return line.removeprefix("cursor ")


def test_watch_prints_so_many_events_and_then_where_to_go_on(capsys: Capture) -> None:
    ended = invoke(capsys, "watch", "ticks.Ticks", "--count", "3")
    assert ended.code == 0
    assert len(ended.lines) == 3
    assert all(line.startswith("demo.tick.v1  ") for line in ended.lines)
    assert cursor_of(ended.err)


def test_json_is_one_record_an_event(capsys: Capture) -> None:
    ended = invoke(capsys, "watch", "ticks.Ticks", "--count", "2", "--format", "json")
    assert [set(record) for record in ended.records] == [
        {"id", "source", "type", "key", "time", "data"}
    ] * 2


def test_watching_on_from_a_cursor_repeats_and_loses_nothing(capsys: Capture) -> None:
    """To the event, also where the cursor lies inside a frame of many."""
    line = ("watch", "ticks.Ticks", "--count", "3", "--format", "json")
    first = invoke(capsys, *line)
    second = invoke(capsys, *line, "--from", cursor_of(first.err))
    third = invoke(capsys, *line, "--from", cursor_of(second.err))
    ids = [str(event["id"]) for ended in (first, second, third) for event in ended.records]
    by_symbol: dict[str, list[int]] = {}
    for each in ids:
        symbol, number = each.split("-")
        by_symbol.setdefault(symbol, []).append(int(number))
    assert len(set(ids)) == 9
    assert all(
        numbers == list(range(numbers[0], numbers[0] + len(numbers)))
        for numbers in by_symbol.values()
    )


def test_a_filter_lets_only_its_key_and_type_through(capsys: Capture) -> None:
    line = ("watch", "ticks.Ticks", "--count", "2", "--format", "json")
    told = invoke(capsys, *line, "--key", "BO*", "--type", "demo.*")
    assert [record["key"] for record in told.records] == ["BOLT", "BOLT"]
    assert invoke(capsys, *line, "--key", "ACME").records[0]["key"] == "ACME"


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (("ticks.Tcks",), 64 + 5, "ticks.Tcks: did you mean 'ticks.Ticks'?"),
        (("tcks.Ticks",), 64 + 5, "tcks.Ticks: did you mean 'ticks.Ticks'?"),
        (("ticks",), 2, "expected CONNECTOR.FEED"),
        (("ticks.Ticks", "--from", "zzz"), 64 + 3, "BAD_CURSOR"),
        (("ticks.Ticks", "--from", "zzz.1"), 2, "expected now, oldest, or a cursor"),
        (("ticks.Ticks", "--overflow", "wait"), 2, "expected one of block, drop_oldest"),
        (("ticks.Ticks", "--count", "-1"), 2, "greater than or equal to 0"),
    ],
)
def test_what_cannot_be_watched_is_said(
    arguments: tuple[str, ...], code: int, told: str, capsys: Capture
) -> None:
    ended = invoke(capsys, "watch", *arguments)
    assert (ended.code, ended.out) == (code, "")
    assert told in ended.err
    assert "cursor " not in ended.err.replace("a cursor", "").replace("the cursor", "")


def test_a_cursor_of_another_feed_is_refused(capsys: Capture) -> None:
    place = cursor_of(invoke(capsys, "watch", "ticks.Ticks", "--count", "1").err)
    ended = invoke(capsys, "watch", "ticks.Acme", "--from", place)
    assert ended.code == 64 + 9
    assert "CURSOR_MISMATCH" in ended.err


def test_a_place_is_one_word_and_reads_back() -> None:
    bookmark = Bookmark("aB_-", (b"\x00\xff\xfe", b"\x01"))
    assert _place(bookmark).count(" ") == 0
    assert _start(_place(bookmark)).bookmark == bookmark
    many = Bookmark("aB_-", tuple(bytes([number]) for number in range(100)))
    assert _place(many) == "aB_-"


def test_what_is_missing_is_talk(capsys: Capture) -> None:
    _remark(Gap(GapReason.RECONNECTED, "", ""))
    _remark(Dropped(3))
    assert capsys.readouterr() == ("", "gap: reconnected\ndropped: 3 events\n")


def test_publish_says_confirmed_only_when_the_broker_did(capsys: Capture) -> None:
    line = ("publish", "orders.Orders", "--id", "once", "--data", '{"id": 7}')
    ended = invoke(capsys, *line)
    assert (ended.code, ended.out, ended.err) == (0, "confirmed once\n", "")
    assert invoke(capsys, *line).out == "confirmed once (known already)\n"
    (record,) = invoke(capsys, *line, "--format", "json").records
    assert (record["id"], record["duplicate"]) == ("once", True)


def test_what_was_published_is_watched_from_the_oldest(
    tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A broker of its own: which event is the oldest depends on nobody else."""
    with dev_service(tmp_path) as service:
        monkeypatch.setenv("INTERLACE_SERVER", service.grpc)
        piped = run(
            *("publish", "orders.Orders", "--type", "order.created", "--key", "k"),
            *("--attribute", "tenant=a", "--data", "@-"),
            environment=service.environment,
            stdin=b'{"id": 8}',
        )
        assert piped.code == 0
        line = ("watch", "orders.Orders", "--from", "oldest", "--count", "1", "--format", "json")
        (record,) = invoke(capsys, *line).records
    assert (record["type"], record["key"], record["data"]) == ("order.created", "k", {"id": 8})


REFUSING = """
interlace: 1
connector: tiny
upstream: {memory: tiny, keep_bytes: 1KiB}
feeds: {Notes: {ack: {wait: 5s, max_deliver: 2}}}
sinks: {Notes: {}}
"""


def test_publish_ends_with_the_code_of_what_the_broker_refused(
    tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tiny.yaml").write_text(REFUSING)
    with dev_service(tmp_path, "--config", str(tmp_path / "tiny.yaml")) as service:
        monkeypatch.setenv("INTERLACE_SERVER", service.grpc)
        ended = invoke(capsys, "publish", "tiny.Notes", "--data", json.dumps("x" * 4096))
    assert (ended.code, ended.out) == (64 + 8, "")
    assert ended.err.startswith("interlace: RESOURCE_EXHAUSTED TOO_LARGE: ")


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (("orders.Ordrs", "--data", "1"), 64 + 5, "orders.Ordrs: did you mean 'orders.Orders'?"),
        (("orders", "--data", "1"), 2, "expected CONNECTOR.SINK"),
        (("orders.Orders",), 2, "Missing option"),
        (("orders.Orders", "--data", "1", "--attribute", "a"), 2, "expected NAME=VALUE"),
        (("orders.Orders", "--data", "1", "--timeout", "soon"), 2, "expected a duration"),
    ],
)
def test_what_cannot_be_published_is_said(
    arguments: tuple[str, ...], code: int, told: str, capsys: Capture
) -> None:
    ended = invoke(capsys, "publish", *arguments)
    assert (ended.code, ended.out) == (code, "")
    assert told in ended.err


def test_the_command_and_the_service_are_two_processes(dev: DevService) -> None:
    ended = run("watch", "ticks.Acme", "--count", "1", environment=dev.environment)
    assert (ended.code, len(ended.lines)) == (0, 1)
