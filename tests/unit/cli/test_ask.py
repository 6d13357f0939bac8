"""`call` and `fanout` against a real service."""

from __future__ import annotations

import json

import pytest
from command import DevService, invoke, run

pytestmark = pytest.mark.usefixtures("at_dev")
Capture = pytest.CaptureFixture[str]


def test_a_reply_is_the_only_thing_on_stdout(capsys: Capture) -> None:
    ended = invoke(capsys, "call", "shop.GetProduct", "-p", "id=p001")
    assert (ended.code, ended.err) == (0, "")
    assert json.loads(ended.out)["id"] == "p001"


def test_json_is_one_record_with_the_effort(capsys: Capture) -> None:
    line = ("call", "shop.GetProduct", "-p", "id=p001", "--format", "json")
    (record,) = invoke(capsys, *line).records
    assert set(record) == {"reply", "latency", "attempts"}
    assert record["attempts"] == 1
    (record,) = invoke(capsys, *line, "--ledger").records
    assert record["ledger"][0]["step"] == "attempt"  # type: ignore[index]  # a list of steps


def test_the_ledger_is_talk_so_that_a_pipe_gets_the_reply_alone(capsys: Capture) -> None:
    ended = invoke(capsys, "call", "shop.GetProduct", "-p", "id=p001", "--ledger")
    assert json.loads(ended.out)["id"] == "p001"
    assert "attempt" in ended.err


def test_parameters_get_their_declared_types(capsys: Capture) -> None:
    ended = invoke(capsys, "call", "shop.ListProducts", "-p", "limit=2")
    assert ended.code == 0
    assert len(json.loads(ended.out)["data"]) == 2
    ended = invoke(capsys, "call", "shop.ListProducts", "-p", "limit=many")
    assert (ended.code, ended.out) == (64 + 3, "")
    assert "parameters[limit]: must be an integer" in ended.err


def test_a_write_takes_its_body_from_the_standard_input(dev: DevService) -> None:
    ended = run(
        *("call", "shop.CreateOrder", "--data", "@-", "--idempotency-key", "k-1"),
        environment=dev.environment,
        stdin=b'{"product": "p001", "quantity": 2}',
    )
    assert ended.code == 0
    assert json.loads(ended.out)["quantity"] == 2


@pytest.mark.parametrize(
    ("operation", "code", "proposal"),
    [
        ("shop.GetProdct", 64 + 5, "shop.GetProdct: did you mean 'shop.GetProduct'?"),
        ("shp.GetProduct", 64 + 5, "shp.GetProduct: did you mean 'shop.GetProduct'?"),
        ("shop", 2, "expected CONNECTOR.OPERATION, such as shop.ListProducts"),
    ],
)
def test_a_name_that_is_not_there_gets_the_nearest_that_is(
    operation: str, code: int, proposal: str, capsys: Capture
) -> None:
    ended = invoke(capsys, "call", operation, "-p", "id=p001")
    assert (ended.code, ended.out) == (code, "")
    assert proposal in ended.err


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (("-p", "id=nothing"), 64 + 5, "UPSTREAM_NOT_FOUND"),
        (("-p", "i=p001"), 64 + 3, "parameters[i]: is not a parameter of this operation"),
        (("-p", "id"), 2, "expected NAME=VALUE"),
        (("-p", "id=p001", "--timeout", "5"), 2, "expected a duration such as"),
        (("--format", "xml"), 2, "'text', 'json'"),
        (("--data", "@nothing-here"), 2, "nothing-here: cannot be read"),
        (("--nonsense",), 2, "No such option"),
    ],
)
def test_what_goes_wrong_has_its_own_code_and_no_traceback(
    arguments: tuple[str, ...], code: int, told: str, capsys: Capture
) -> None:
    ended = invoke(capsys, "call", "shop.GetProduct", *arguments)
    assert (ended.code, ended.out) == (code, "")
    assert told in ended.err
    assert "Traceback" not in ended.err


def test_a_deadline_ends_with_68(capsys: Capture) -> None:
    line = ("call", "shop.SlowReport", "-p", "seconds=20", "--timeout", "200ms")
    ended = invoke(capsys, *line)
    assert ended.code == 64 + 4
    assert "DEADLINE_EXCEEDED" in ended.err


BRANCHES = ("good=shop.GetProduct?id=p001", "bad=shop.GetProduct?id=nothing")


def test_a_fan_out_prints_an_outcome_a_line(capsys: Capture) -> None:
    ended = invoke(capsys, "fanout", *BRANCHES, "--policy", "best_effort")
    assert (ended.code, ended.err) == (0, "")
    assert [line.split()[0] for line in ended.lines] == ["good", "bad"]
    assert "UPSTREAM_NOT_FOUND" in ended.lines[1]


def test_a_policy_that_is_not_met_ends_with_74_and_what_became_of_each(capsys: Capture) -> None:
    for line in (("--policy", "all"), ("--policy", "quorum:2"), ("--policy", "all", "--stream")):
        ended = invoke(capsys, "fanout", *BRANCHES, *line)
        assert ended.code == 64 + 10
        assert "POLICY_NOT_MET" in ended.err
        assert "  bad: UPSTREAM_NOT_FOUND" in ended.err


def test_a_required_branch_counts_under_every_policy(capsys: Capture) -> None:
    line = (BRANCHES[0], f"+{BRANCHES[1]}", "--policy", "first_ok")
    assert invoke(capsys, "fanout", *line).code == 64 + 10


def test_a_streamed_fan_out_prints_outcomes_as_they_land(capsys: Capture) -> None:
    branches = ("slow=shop.SlowReport?seconds=0.3", *BRANCHES)
    line = ("fanout", *branches, "--policy", "best_effort", "--stream", "--format", "json")
    ended = invoke(capsys, *line)
    assert ended.code == 0
    assert ended.records[-1]["branch"] == "slow"
    failed = next(record for record in ended.records if record["branch"] == "bad")
    assert failed["reason"] == "UPSTREAM_NOT_FOUND"
    assert "reply" not in failed


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("good",), "expected NAME=CONNECTOR.OPERATION"),
        (("=shop.ListProducts",), "expected NAME=CONNECTOR.OPERATION"),
        (("a=shop",), "expected CONNECTOR.OPERATION"),
        (("a=shop.ListProducts", "--policy", "most"), "expected all, quorum:N, first_ok"),
        (("a=shop.ListProducts", "--policy", "quorum"), "expected all, quorum:N, first_ok"),
        (("a=shop.ListProducts", "--policy", "all:2"), "expected all, quorum:N, first_ok"),
    ],
)
def test_a_fan_out_that_cannot_be_read_is_a_usage_error(
    arguments: tuple[str, ...], told: str, capsys: Capture
) -> None:
    ended = invoke(capsys, "fanout", *arguments)
    assert (ended.code, ended.out) == (2, "")
    assert told in ended.err


def test_a_branch_with_an_unknown_name_gets_a_proposal(capsys: Capture) -> None:
    ended = invoke(capsys, "fanout", "a=shop.GetProdct?id=p001")
    assert "shop.GetProdct: did you mean 'shop.GetProduct'?" in ended.err
