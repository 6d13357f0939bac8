"""What the documents name exists: metrics, records, reasons, exit codes, options, kinds."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
import typer.main
from command import DevService, invoke
from snippets import ROOT, documents, make_targets

from interlaced.cli.main import build
from interlaced.cli.output import Exit
from interlaced.connectors.registry import KINDS
from interlaced.core.failure import Reason
from interlaced.rpc.status import CODES
from interlaced.telemetry.names import ALL, Instrument

README = (ROOT / "README.md").read_text()
OPERATING = (ROOT / "docs" / "operating.md").read_text()
COMMAND = (ROOT / "docs" / "command-line.md").read_text()
EVERYTHING = "\n".join(path.read_text() for path in documents())


def rows(text: str, heading: str) -> list[list[str]]:
    """The rows of the table whose first column is called `heading`."""
    table = re.search(rf"^\| {re.escape(heading)} \|.*\n\|[-| ]+\n((?:\|.*\n)+)", text, re.M)
    assert table, f"no table of {heading}"
    lines = table[1].strip().splitlines()
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def quoted(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def metrics() -> set[str]:
    """The names under which metrics are scraped."""
    return {
        f"{metric.prometheus}{'_total' if metric.instrument == Instrument.COUNTER else ''}"
        for metric in ALL
    }


def records() -> dict[str, set[str]]:
    """The names of log records, with the levels at which they are written."""
    found: dict[str, set[str]] = {}
    for path in (ROOT / "service" / "interlaced").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call) or not node.args:
                continue
            first = node.args[0]
            if isinstance(first, ast.Constant) and re.fullmatch(
                r"[a-z]+\.[a-z_]+", str(first.value)
            ):
                level = node.func.attr if isinstance(node.func, ast.Attribute) else "by reason"
                found.setdefault(str(first.value), set()).add(level)
    return found


def verbs() -> dict[str, set[str]]:
    """The verbs of the command with their options."""
    group = typer.main.get_command(build())
    assert isinstance(group, typer.core.TyperGroup)
    return {
        name: {option for parameter in verb.params for option in parameter.opts}
        for name, verb in group.commands.items()
    }


def test_every_metric_that_is_named_is_scraped(dev: DevService) -> None:
    named = set(re.findall(r"`((?:interlace|rpc)_[a-z_]+)", EVERYTHING))
    assert named
    assert named - metrics() == set()
    assert {quoted(row[0])[0] for row in rows(OPERATING, "metric")} <= metrics()


def test_every_record_that_is_named_is_written_at_its_level() -> None:
    written = records()
    for names, level, _ in rows(OPERATING, "event"):
        for name in quoted(names):
            assert name in written, name
            assert level == "by reason" or written[name] == {level}, name


def test_every_record_of_the_service_is_in_the_table() -> None:
    told = {name for row in rows(OPERATING, "event") for name in quoted(row[0])}
    levels = {"info", "warning", "error", "by reason"}
    rooms = ("admin", "breaker", "call", "config", "feed", "retry", "rpc", "server")
    rooms += ("group", "worker")
    written = {
        name
        for name, found in records().items()
        if found & levels and name.partition(".")[0] in rooms
    }
    assert written - told == set()


def test_every_reason_that_is_named_exists() -> None:
    for row in rows(OPERATING, "reason"):
        assert set(quoted(row[0])) <= set(Reason)
    named = set(re.findall(r"`([A-Z]+(?:_[A-Z]+)+)`", EVERYTHING))
    others = {"INTERLACE_SERVER", "INTERLACE_ADMIN", "INTERLACE_SECRETS", "INTERLACE_VECTORS"}
    codes = {code.name for code in CODES.values()} | {"NO_COLOR", "NATS_URL", "NOT_SERVING"}
    states = {"NOT_SENT", "FIRST_OK", "BEST_EFFORT", "SCHED_BATCH"}
    assert named - set(Reason) - codes - others - states == set()


def test_the_exit_codes_are_those_of_the_code() -> None:
    told = {row[0] for row in rows(COMMAND, "exit code")}
    unused = {Exit.EXPECTATION_FAILED}
    named = {f"{code:d}" for code in Exit if code not in unused | {Exit.RPC_STATUS}}
    assert told == named | {"64 + N"}
    numbers = {code.name: code.value[0] for code in CODES.values()}
    for number, name in re.findall(r"(\d+) is ([A-Z_]+)", COMMAND):
        assert int(number) == Exit.RPC_STATUS + numbers[name]


def test_every_option_that_is_named_exists() -> None:
    known = set().union(*verbs().values()) | {"--help"}
    assert set(re.findall(r"`(--[a-z-]+)", README + OPERATING + COMMAND)) - known == set()


def test_every_verb_has_its_line_and_its_variables() -> None:
    told = {verb for row in rows(COMMAND, "verb") for verb in quoted(row[0])}
    assert told == set(verbs())
    for variable, options, _, used_by in rows(COMMAND, "variable"):
        for verb in quoted(used_by):
            assert set(quoted(options)) <= verbs()[verb]
            assert variable.strip("`").startswith("INTERLACE_")


def test_the_fields_of_json_are_those_that_are_printed(
    dev: DevService,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    for name, value in dev.environment.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "a.yaml").write_text("interlace: 2\n")
    asked = ("one=shop.GetProduct?id=p001", "two=shop.GetProduct?id=nothing")
    lines = {
        "call": ("shop.GetProduct", "-p", "id=p001", "--ledger"),
        "fanout": (*asked, "--policy", "best_effort"),
        "watch": ("ticks.Ticks", "--count", "1"),
        "publish": ("orders.Orders", "--data", "1"),
        "lint": (str(tmp_path),),
        "reload": (),
    }
    sections = COMMAND.partition("## What it prints")[2]
    told = {quoted(row[0])[0]: set(quoted(row[1])) - {"--ledger"} for row in rows(sections, "verb")}
    printed = {}
    for verb, arguments in lines.items():
        records = invoke(capsys, verb, *arguments, "--format", "json").records
        printed[verb] = set().union(*records)
    assert printed == told


def test_the_table_of_kinds_is_the_registry() -> None:
    told = {quoted(row[0])[0] for row in rows(README, "kind")}
    assert told == set(KINDS)


def test_what_a_kind_can_do_is_what_its_settings_take() -> None:
    from interlaced.connectors.registry import load_kind

    for row in rows(README, "kind"):
        fields = load_kind(quoted(row[0])[0]).config.model_fields
        told = [cell == "yes" for cell in row[1:4]]
        assert told == [name in fields for name in ("operations", "feeds", "sinks")], row


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md"])
def test_every_target_of_make_that_is_named_exists(name: str) -> None:
    named = set(re.findall(r"`make ([a-z]+)", (ROOT / name).read_text()))
    assert named
    assert named <= set(make_targets())


def test_the_ports_and_limits_are_the_defaults() -> None:
    from interlaced.settings import Settings

    settings = Settings(config=())
    grpc = f"{settings.ingress.host}:{settings.ingress.port}"
    listeners = {row[0]: row[1] for row in rows(OPERATING, "listener")}
    admin = f"{settings.admin_host}:{settings.admin_port}"
    assert listeners == {"gRPC": grpc, "admin": admin}
    assert f"{settings.drain_limit:g} by default" in OPERATING
    defaults = {row[1]: row[2] for row in rows(COMMAND, "variable") if row[1]}
    assert defaults["`--server`"] == grpc
    assert defaults["`--admin`"] == f"http://{admin}"


def test_a_reader_finds_no_promise_of_a_number_that_nobody_measured() -> None:
    measured = README.partition("## Measured")[2].partition("\n## ")[0]
    assert measured
    before = README.replace(measured, "")
    assert re.findall(r"\d+ ?(?:%|x faster|times faster|µs|ms\b)", before) == ["60%"]
