"""Flame graphs are written, read, and drawn on the page."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from benchmarks import flames
from benchmarks.flames import FILE, NAMES, Flame, main, read_flames, write_flames
from benchmarks.harness.results import BASELINE, INTERLACE
from benchmarks.harness.stacks import Call, NotSampledError
from benchmarks.report.flame import draw
from benchmarks.report.flame import flames as section
from benchmarks.report.page import render

TREE = Call("all", "", 100)
INNER = Call("Gateway.<call>", "interlaced/rpc/gateway.py", 60)
INNER.inner["write", "stream.c"] = Call("write", "stream.c", 30)
TREE.inner["a", "b"] = INNER
TREE.inner["run", "asyncio/runners.py"] = Call("run", "asyncio/runners.py", 40)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    write_flames(tmp_path / FILE, [Flame("Call", INTERLACE, TREE)], {"started": "now"})
    [found] = read_flames(tmp_path / FILE)
    assert (found.name, found.side, found.root.samples) == ("Call", INTERLACE, 100)
    assert [one.samples for one in found.root.inner.values()] == [60, 40]
    assert json.loads((tmp_path / FILE).read_text())["started"] == "now"
    assert read_flames(tmp_path / "none.json") == []


def test_boxes_are_as_wide_as_their_share_and_say_it() -> None:
    drawn = draw(TREE, "Call & more")
    assert "<title>Call &amp; more</title>" in drawn
    boxes = re.findall(
        r'<g class="(\w+)"><title>(.*?)</title><rect x="(.*?)" y="(.*?)" width="(.*?)"', drawn
    )
    assert boxes == [
        ("ours", "Gateway.&lt;call&gt; (interlaced/rpc/gateway.py): 60.0 %", "0.0", "0", "599.5"),
        ("native", "write (stream.c): 30.0 %", "0.0", "17", "299.5"),
        ("py", "run (asyncio/runners.py): 40.0 %", "600.0", "0", "399.5"),
    ]


def test_a_name_without_room_is_cut_or_left_out() -> None:
    tree = Call("all", "", 1000)
    tree.inner["x", ""] = Call("a_rather_long_name", "", 50)
    tree.inner["y", ""] = Call("short", "", 10)
    texts = re.findall(r"<text[^>]*>(.*?)</text>", draw(tree, "t"))
    assert texts == ["a_rathe…"]


def test_the_page_has_them_folded_or_says_that_there_are_none() -> None:
    shown = section([Flame("Call", INTERLACE, TREE), Flame("Call", BASELINE, TREE)])
    assert shown.count("<details>") == shown.count("<svg") == 2
    assert "Call, Interlace, 100 samples" in shown
    assert "Not measured" in section([])
    page = render([], command="x", stacks=[Flame("Call", INTERLACE, TREE)])
    assert 'href="#flames"' in page
    assert "Call, Interlace, 100 samples" in page


@pytest.mark.timeout(300)
def test_both_sides_are_sampled_under_load_or_it_is_said_why(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flames, "WARM", 0.1)
    monkeypatch.setattr(flames, "pin", lambda _: None)
    path = tmp_path / FILE
    ended = main(["--seconds", "1", "--json", str(path)])
    if ended:
        assert "ermission" in capsys.readouterr().err
        return
    found = read_flames(path)
    assert [one.name for one in found] == [NAMES[0], NAMES[0], NAMES[1], NAMES[1], NAMES[2]]
    assert {one.side for one in found} == {INTERLACE, BASELINE}
    for one in found:
        assert one.root.samples > 50
        assert "data_received" in path.read_text()


def test_what_cannot_be_sampled_ends_with_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(*_: object) -> list[Flame]:
        raise NotSampledError("py-spy: Error: Permission Denied")

    monkeypatch.setattr(flames, "measure", refuse)
    monkeypatch.setattr(flames, "pin", lambda _: None)
    assert main(["--json", str(tmp_path / FILE)]) == 1
    assert "Permission Denied" in capsys.readouterr().err
    assert not (tmp_path / FILE).exists()
