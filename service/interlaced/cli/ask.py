"""The verbs that ask: `call` and `fanout`."""

import json
import urllib.parse
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from interlace import Branch, Call, CallResult, Client, Outcome, Payload, Policy
from interlaced.cli.connect import (
    ApiKeyOption,
    CaOption,
    CertOption,
    KeyOption,
    Server,
    ServerOption,
    as_json,
    bytes_of,
    client,
    pairs,
    run,
    seconds,
    split_name,
    typed,
)
from interlaced.cli.output import Exit, Style, fail, paint, print_json, show

__all__ = ["call", "fanout", "register"]

_ADDRESS = "127.0.0.1:7070"

FormatOption = Annotated[Style, typer.Option("--format", help="text or json.")]
TimeoutOption = Annotated[str, typer.Option(help="The most time it may take: 5s.")]


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
    server: ServerOption = _ADDRESS,
    tls_ca: CaOption = None,
    tls_cert: CertOption = None,
    tls_key: KeyOption = None,
    api_key: ApiKeyOption = None,
) -> None:
    """Perform one operation; the exit code is 64 + N if it ends in gRPC status N.

    Example: interlace call shop.GetProduct -p id=p001
    """
    connector, name = split_name(operation, "OPERATION")

    async def work() -> None:
        async with client(Server(server, tls_ca, tls_cert, tls_key, api_key)) as service:
            result = await service.call(
                connector,
                name,
                await typed(service, connector, name, pairs(parameter)),
                payload=Payload(media_type, bytes_of(data)) if data else None,
                accept=accept,
                timeout=seconds(timeout),
                idempotency_key=idempotency_key,
                ledger=ledger,
            )
        if output is Style.JSON:
            print_json({"reply": as_json(result.data, result.media_type), **_effort(result)})
            return
        show(_readable(result))
        for step in result.effort.ledger:
            show(f"  {step.start * 1000:8.1f} ms  {step.step:<9} {step.reason or 'ok'}")

    run(work())


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
    server: ServerOption = _ADDRESS,
    tls_ca: CaOption = None,
    tls_cert: CertOption = None,
    tls_key: KeyOption = None,
    api_key: ApiKeyOption = None,
) -> None:
    """Perform many operations under one deadline. A leading + makes a branch required.

    Example: interlace fanout a=shop.GetProduct?id=p001 +b=shop.GetProduct?id=p002 --policy quorum:1
    """

    async def work() -> None:
        async with client(Server(server, tls_ca, tls_cert, tls_key, api_key)) as service:
            branches = [await _branch(service, text) for text in branch]
            rule, limit = _policy(policy), seconds(timeout)
            if stream:
                async for landed in service.stream_fan_out(branches, policy=rule, timeout=limit):
                    if isinstance(landed, Outcome):
                        _show([landed], output)
                return
            _show(await service.fan_out(branches, policy=rule, timeout=limit), output)

    run(work())


async def _branch(service: Client, text: str) -> Branch:
    """Reads `[+]NAME=CONNECTOR.OPERATION[?PARAMETER=VALUE&...]`."""
    name, equals, target = text.removeprefix("+").partition("=")
    if not equals:
        fail(f"{text}: expected NAME=CONNECTOR.OPERATION", Exit.USAGE)
    place, _, query = target.partition("?")
    connector, operation = split_name(place, "OPERATION")
    texts = dict(urllib.parse.parse_qsl(query, keep_blank_values=True))
    parameters = await typed(service, connector, operation, texts)
    return Branch(name, Call(connector, operation, parameters), required=text.startswith("+"))


def _policy(text: str) -> Policy:
    """Reads a completion policy."""
    rule, _, count = text.partition(":")
    if rule == "quorum" and count.isdecimal():
        return Policy.quorum(int(count))
    rules = {"all": Policy.all, "first_ok": Policy.first_ok, "best_effort": Policy.best_effort}
    if count or rule not in rules:
        fail(f"{text}: expected all, quorum:N, first_ok or best_effort", Exit.USAGE)
    return rules[rule]()


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


def _effort(result: CallResult) -> dict[str, Any]:
    return {"latency": result.effort.latency, "attempts": result.effort.attempts}


def _readable(result: CallResult) -> str:
    """A body for people: JSON indented, anything else as it is."""
    value = as_json(result.data, result.media_type)
    return value if isinstance(value, str) else json.dumps(value, indent=2, ensure_ascii=False)


def _compact(result: CallResult, width: int = 72) -> str:
    """A body on a line."""
    value = as_json(result.data, result.media_type)
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= width else f"{text[: width - 1]}…"
