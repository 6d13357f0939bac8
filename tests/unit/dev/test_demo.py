"""`make demo`: all acts and 0, or 1 and the reason; and nothing stays behind."""

from __future__ import annotations

import functools
import re
import subprocess
import sys
from collections.abc import Iterator

import psutil
import pytest
from command import clean

from interlaced.dev import demo
from interlaced.dev.acts import ACTS, Stage, Unexpected, call, expect

TITLES = [
    "A call",
    "A fan-out of five, one slow and one failing, under each policy",
    "A streamed fan-out, in the order of arrival",
    "A session of 1,000 calls over one stream",
    "Two subscribers on one shared feed; one disconnects and resumes without loss",
    "Publish and consume, with a nack and a redelivery",
    "A breaker that opens under chaos, and closes again",
]


@pytest.fixture
def nothing_left() -> Iterator[None]:
    """Checks that no process is left."""
    before = {child.pid for child in psutil.Process().children(recursive=True)}
    yield
    after = {child.pid for child in psutil.Process().children(recursive=True)}
    assert after <= before


def test_the_demo_plays_seven_acts_prints_real_answers_and_ends_with_0() -> None:
    started: set[psutil.Process] = set()
    with subprocess.Popen(
        [sys.executable, "-m", "interlaced.dev.demo"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=clean(),
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline().startswith("interlace dev is up: gRPC on 127.0.0.1:")
        started.update(psutil.Process(process.pid).children(recursive=True))
        # What the first line's reader holds already is lost to `communicate`.
        out, err = process.stdout.read(), process.stderr.read()
        assert (process.wait(60), err) == (0, "")
    assert re.findall(r"^\d\. (.*)$", out, re.M) == TITLES
    for answer in (
        "shop.GetProduct(id=p001) -> ",
        "policy NOT met",
        "slow     after",
        "1,000 right answers in",
        "both saw the same",
        "demo-2 attempt 2: ack",
        "BREAKER_OPEN, 1 x ok",
    ):
        assert answer in out
    assert out.endswith("\nEverything that was promised was shown.\n")
    assert started
    assert not any(child.is_running() for child in started)


async def lie(stage: Stage) -> None:
    """A promise that nobody keeps."""
    stage.tell("   nothing is shown")
    expect(False, "what nobody can show")


@pytest.mark.usefixtures("nothing_left")
def test_a_promise_that_is_not_kept_ends_it_with_1_and_the_reason(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(demo, "play", functools.partial(demo.play, (call, lie)))
    with pytest.raises(SystemExit) as ended:
        demo.main()
    told = capsys.readouterr()
    assert ended.value.code == 1
    assert "2. A promise that nobody keeps" in told.out
    assert "Everything" not in told.out
    assert told.err.endswith("\nthe demo failed: Unexpected: what nobody can show\n")
    assert "what interlace dev said:" in told.err
    assert "Traceback" not in told.err


@pytest.mark.usefixtures("nothing_left")
async def test_an_act_that_hangs_is_ended_and_named(monkeypatch: pytest.MonkeyPatch) -> None:
    async def hang(stage: Stage) -> None:
        """A wait for ever."""
        async with stage.client.subscribe("orders.Orders") as events:
            async for _ in events:
                pass

    monkeypatch.setattr(demo, "_ACT_LIMIT", 0.3)
    with pytest.raises(Unexpected, match=r"act 1 ends within 0\.3 s"):
        await demo.play((hang,))


@pytest.mark.usefixtures("nothing_left")
def test_a_server_that_does_not_start_is_a_reason_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(demo.sys, "executable", "/bin/false")
    with pytest.raises(SystemExit) as ended:
        demo.main()
    assert ended.value.code == 1
    assert "interlace dev did not start" in capsys.readouterr().err


def test_the_acts_are_those_of_the_papers() -> None:
    assert [(act.__doc__ or "").rstrip(".") for act in ACTS] == TITLES
