"""Node's grpc-js against the service, with the plain protos and nothing generated."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from foreign_rig import ROOT, Ran, need_node, node_command, run, serving

Told = Mapping[str, Any]
EVENTS, MORE = 100, 105


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Told]:
    """What each check of the client saw; all of them in one run."""
    need_node()
    ran = asyncio.run(play(tmp_path_factory.mktemp("foreign")))
    assert ran.code == 0, ran.err
    return {told.pop("check"): told for told in map(json.loads, ran.out.splitlines())}


async def play(folder: Path) -> Ran:
    async with serving(folder) as service:
        command, environment = node_command(service.address)
        return await run(*command, environment=environment)


def event(number: int) -> Told:
    """The event of this number, as the client reads it back."""
    return {
        "id": f"event-{number}",
        "key": f"key-{number % 3}",
        "type": "foreign.counted.v1",
        "number": number,
        "text": f"größe {number}",
        "parity": "odd" if number % 2 else "even",
        "time": 1_700_000_000 + number,
    }


def events(told: Told) -> list[Told]:
    return [event for frame in told["frames"] for event in frame["events"]]


def test_a_unary_call_is_answered(seen: Mapping[str, Told]) -> None:
    told = seen["call"]
    assert told["media_type"] == "application/json"
    assert json.loads(told["data"]) == {"greeting": "grüß dich"}
    assert (told["effort"]["attempts"], told["effort"]["source"]) == (1, "REPLY_SOURCE_UPSTREAM")


def test_parameters_of_every_kind_arrive(seen: Mapping[str, Told]) -> None:
    assert json.loads(seen["parameters"]["data"]) == {
        "text": "größe",
        "whole": 7,
        "fraction": 0.5,
        "truth": True,
        "list": ["a", "b"],
    }


@pytest.mark.parametrize(
    ("check", "code", "reason"),
    [
        ("unknown", 5, "UNKNOWN_OPERATION"),
        ("invalid", 3, "INVALID_REQUEST"),
        ("limited", 8, "UPSTREAM_RATE_LIMITED"),
        ("forged", 3, "BAD_CURSOR"),
    ],
)
def test_an_error_carries_its_status_and_its_reason(
    seen: Mapping[str, Told], check: str, code: int, reason: str
) -> None:
    told = seen[check]
    assert (told["grpc_code"], told["code"]) == (code, code)
    assert told["grpc_message"] == told["message"]
    assert (told["ErrorInfo"]["reason"], told["ErrorInfo"]["domain"]) == (reason, "interlace")


def test_the_other_details_can_be_read_as_well(seen: Mapping[str, Told]) -> None:
    (violation,) = seen["invalid"]["BadRequest"]["field_violations"]
    assert violation["field"] == "call.timeout"
    assert 0 < seen["limited"]["RetryInfo"]["retry_delay"]["seconds"] <= 600


def test_a_deadline_ends_a_call(seen: Mapping[str, Told]) -> None:
    assert seen["deadline"]["grpc_code"] == 4


def test_a_call_can_be_cancelled(seen: Mapping[str, Told]) -> None:
    assert seen["cancelled"]["grpc_code"] == 1


def test_a_session_carries_several_calls_and_cancels_one(seen: Mapping[str, Told]) -> None:
    first, *later = seen["session"]["limits"]
    assert (first["in_flight"], first["message_bytes"]) == (256, 4 * 1024 * 1024)
    assert set(later) <= {None}
    replies = {reply["id"]: reply for reply in seen["session"]["replies"]}
    assert len(replies) == len(seen["session"]["replies"]) == 5
    assert {number: replies[number]["payload"] for number in (1, 2, 4)} == {
        1: "one",
        2: "two",
        4: "four",
    }
    assert (replies[3]["code"], replies[3]["ErrorInfo"]["reason"]) == (5, "UNKNOWN_OPERATION")
    assert (replies[7]["code"], replies[7]["ErrorInfo"]["reason"]) == (1, "CALLER_CANCELLED")


def test_every_event_is_confirmed(seen: Mapping[str, Told]) -> None:
    assert seen["publish"]["confirmed"] == EVENTS


def test_the_events_of_joined_frames_are_all_there_in_order(seen: Mapping[str, Told]) -> None:
    """A batch is a join of events that were encoded once; a stock decoder sees no difference."""
    told = seen["subscribe"]
    assert told["frames"][0]["frame"] == "checkpoint"
    assert max(len(frame["events"]) for frame in told["frames"]) > 1
    assert events(told) == [event(number) for number in range(EVENTS)]
    assert all(frame["cursor"] for frame in told["frames"])


def test_a_cursor_resumes_exactly_behind_its_frame(seen: Mapping[str, Told]) -> None:
    told = seen["resume"]
    assert told["more"] == MORE - EVENTS
    assert events(told) == [event(number) for number in range(len(told["first"]), MORE)]


def test_a_subscription_that_is_cancelled_leaves_nobody_behind(seen: Mapping[str, Told]) -> None:
    assert seen["subscribe"]["ended"] == 1
    assert seen["listeners"]["left"] == 0


def test_installing_the_modules_again_does_nothing() -> None:
    need_node()
    lock = ROOT / "build" / "node" / "node_modules" / ".package-lock.json"
    before = lock.stat()
    tool = ROOT / "tools" / "fetch_node_modules.py"
    subprocess.run([sys.executable, str(tool)], check=True, env={"PATH": ""})
    assert (lock.stat().st_ino, lock.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
