"""The verbs that ask: `call` and `fanout`."""

import json
import urllib.parse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from interlace import Branch, Call, CallResult, Client, Effort, Outcome, Payload, Policy
from interlaced.cli.connect import (
    ADDRESS,
    ApiKeyOption,
    CaOption,
    CertOption,
    FormatOption,
    KeyOption,
    Server,
    ServerOption,
    TimeoutOption,
    as_json,
    bytes_of,
    pairs,
    run,
    seconds,
    split_name,
    typed,
)
from interlaced.cli.output import Exit, Style, fail, paint, print_json, say, show, suggest

__all__ = ["call", "fanout", "register"]


def register(app: typer.Typer) -> None:
    """Adds the verbs."""
    app.command("call")(call)
    app.command("fanout")(fanout)


def call(
    operation: Annotated[str, typer.Argument(help="CONNECTOR.OPERATION")],
    *,
    parameter: Annotated[list[str], typer.Option("-p", "--parameter", help="NAME=VALUE")] = [],  # noqa: B006  # typer copies it
    data: Annotated[str, typer.Option("-d", "--data", help="Body: text, @FILE or @-.")] = "",
    media_type: Annotated[str, typer.Option(help="The body's media type.")] = "application/json",
    accept: Annotated[list[str], typer.Option(help="A media type to accept.")] = [],  # noqa: B006  # typer copies it
    timeout: TimeoutOption = "",
    idempotency_key: Annotated[str, typer.Option(help="Makes a write safe to repeat.")] = "",
    ledger: Annotated[bool, typer.Option("--ledger", help="Show every attempt and wait.")] = False,
    output: FormatOption = Style.TEXT,
    server: ServerOption = ADDRESS,
    tls_ca: CaOption = None,
    tls_cert: CertOption = None,
    tls_key: KeyOption = None,
    api_key: ApiKeyOption = None,
) -> None:
    """Perform one operation.

    The exit code is 64 + N if it ends in gRPC status N, and 6 if the service does not answer.

    Example: interlace call shop.GetProduct -p id=p001
    """
    connector, name = split_name(operation, "OPERATION")
    limit, texts = seconds(timeout), pairs(parameter)

    async def work(service: Client) -> None:
        result = await service.call(
            connector,
            name,
            await typed(service, connector, name, texts),
            payload=Payload(media_type, bytes_of(data)) if data else None,
            accept=accept,
            timeout=limit,
            idempotency_key=idempotency_key,
            ledger=ledger,
        )
        _show_result(result, output)

    run(Server(server, tls_ca, tls_cert, tls_key, api_key), work, asked=[operation])
    suggest(f"interlace explain {operation}")


def fanout(
    branch: Annotated[
        list[str],
        typer.Argument(help="NAME=CONNECTOR.OPERATION[?PARAMETER=VALUE&...], or + required"),
    ],
    *,
    policy: Annotated[str, typer.Option(help="all, quorum:N, first_ok or best_effort.")] = "all",
    timeout: TimeoutOption = "",
    stream: Annotated[bool, typer.Option("--stream", help="Show outcomes as they land.")] = False,
    output: FormatOption = Style.TEXT,
    server: ServerOption = ADDRESS,
    tls_ca: CaOption = None,
    tls_cert: CertOption = None,
    tls_key: KeyOption = None,
    api_key: ApiKeyOption = None,
) -> None:
    """Perform many operations at once.

    They share one deadline. A leading + makes a branch required. The exit code is 74 (64 + ABORTED)
    if the policy is not met.

    Example: interlace fanout a=shop.GetProduct?id=p001 +b=shop.GetProduct?id=p002 --policy quorum:1
    """

    branches, rule, limit = [_split(text) for text in branch], _policy(policy), seconds(timeout)

    async def work(service: Client) -> None:
        calls = [await _branch(service, told) for told in branches]
        if not stream:
            _show(await service.fan_out(calls, policy=rule, timeout=limit), output)
            return
        async with service.stream_fan_out(calls, policy=rule, timeout=limit) as landing:
            async for landed in landing:
                if isinstance(landed, Outcome):
                    _show([landed], output)

    asked = [f"{told.connector}.{told.operation}" for told in branches]
    run(Server(server, tls_ca, tls_cert, tls_key, api_key), work, asked=asked)


@dataclass(frozen=True, slots=True)
class _Told:
    """A branch as it was typed."""

    name: str
    connector: str
    operation: str
    parameters: Mapping[str, str]
    required: bool


def _split(text: str) -> _Told:
    """Reads `[+]NAME=CONNECTOR.OPERATION[?PARAMETER=VALUE&...]`."""
    name, equals, target = text.removeprefix("+").partition("=")
    if not equals or not name:
        fail(f"{text}: expected NAME=CONNECTOR.OPERATION[?PARAMETER=VALUE&...]", Exit.USAGE)
    place, _, query = target.partition("?")
    connector, operation = split_name(place, "OPERATION")
    texts = dict(urllib.parse.parse_qsl(query, keep_blank_values=True))
    return _Told(name, connector, operation, texts, text.startswith("+"))


async def _branch(service: Client, told: _Told) -> Branch:
    """Gives the parameters their types."""
    parameters = await typed(service, told.connector, told.operation, told.parameters)
    return Branch(
        told.name, Call(told.connector, told.operation, parameters), required=told.required
    )


def _policy(text: str) -> Policy:
    """Reads a completion policy."""
    rule, _, count = text.partition(":")
    if rule == "quorum" and count.isdecimal():
        return Policy.quorum(int(count))
    rules = {"all": Policy.all, "first_ok": Policy.first_ok, "best_effort": Policy.best_effort}
    if count or rule not in rules:
        fail(f"{text}: expected all, quorum:N, first_ok or best_effort", Exit.USAGE)
    return rules[rule]()


def _show_result(result: CallResult, output: Style) -> None:
    """Prints a reply, and what it took where that was asked for."""
    if output is Style.JSON:
        print_json({"reply": as_json(result.data, result.media_type), **_effort(result.effort)})
        return
    show(_readable(result))
    for step in result.effort.ledger:
        took = f"{step.start * 1000:8.1f} ms  +{step.duration * 1000:.1f} ms"
        say(f"{took}  {step.step:<9} {step.reason or 'ok'}")


def _show(outcomes: Sequence[Outcome], output: Style) -> None:
    """Prints outcomes, one a line."""
    for outcome in outcomes:
        if output is Style.JSON:
            print_json(_record(outcome))
            continue
        state = (
            paint("ok", "green") if outcome.error is None else paint(outcome.error.reason, "red")
        )
        text = _compact(outcome.result) if outcome.result is not None else ""
        show(f"{outcome.branch:<12} {outcome.effort.latency * 1000:8.1f} ms  {state}  {text}")


def _record(outcome: Outcome) -> dict[str, Any]:
    """An outcome as a record of the JSON output."""
    record: dict[str, Any] = {"branch": outcome.branch, "latency": outcome.effort.latency}
    if outcome.result is not None:
        return {**record, "reply": as_json(outcome.result.data, outcome.result.media_type)}
    error = outcome.error
    return {**record, "reason": error.reason, "message": error.message} if error else record


def _effort(effort: Effort) -> dict[str, Any]:
    """What a call took, as fields of the JSON output; times in seconds."""
    told: dict[str, Any] = {"latency": effort.latency, "attempts": effort.attempts}
    if effort.ledger:
        told["ledger"] = [
            {"step": step.step, "start": step.start, "duration": step.duration}
            | ({"reason": step.reason} if step.reason else {})
            for step in effort.ledger
        ]
    return told


def _readable(result: CallResult) -> str:
    """A body for people: JSON indented, anything else as it is."""
    value = as_json(result.data, result.media_type)
    return value if isinstance(value, str) else json.dumps(value, indent=2, ensure_ascii=False)


def _compact(result: CallResult, width: int = 72) -> str:
    """A body on a line."""
    value = as_json(result.data, result.media_type)
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= width else f"{text[: width - 1]}…"
