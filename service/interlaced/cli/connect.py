"""How the asking verbs reach a server: options, arguments, and errors as exit codes."""

import asyncio
import contextlib
import json
import sys
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, TypeAlias

import typer
from grpc import StatusCode

from interlace import ChannelConfig, Client, InterlaceError, Tls
from interlace.channel import is_local
from interlaced.cli.files import check_ca, check_certificate, read_api_key, read_file
from interlaced.cli.output import Exit, Style, fail, suggest
from interlaced.core.units import parse_duration

__all__ = [
    "ADDRESS",
    "ApiKeyOption",
    "CaOption",
    "CertOption",
    "FormatOption",
    "KeyOption",
    "Server",
    "ServerOption",
    "TimeoutOption",
    "as_json",
    "bytes_of",
    "describe",
    "pairs",
    "run",
    "seconds",
    "split_name",
    "typed",
]

ADDRESS = "127.0.0.1:7070"
"""Where the service is, unless it is said."""

ServerOption = Annotated[
    str, typer.Option(help="The gRPC address of the service.", envvar="INTERLACE_SERVER")
]
CaOption = Annotated[Path | None, typer.Option("--tls-ca", help="Trust this CA, PEM.")]
CertOption = Annotated[Path | None, typer.Option("--tls-cert", help="Client certificate, PEM.")]
KeyOption = Annotated[Path | None, typer.Option("--tls-key", help="Its private key, PEM.")]
ApiKeyOption = Annotated[Path | None, typer.Option(help="A file that holds an API key.")]
FormatOption = Annotated[Style, typer.Option("--format", help="text or json.")]
TimeoutOption = Annotated[str, typer.Option(help="The most time it may take: 5s.")]

_NOBODY = {StatusCode.UNAVAILABLE, StatusCode.CANCELLED}
_UNKNOWN = {"UNKNOWN_CONNECTOR", "UNKNOWN_OPERATION", "UNKNOWN_FEED"}
_TOLD = ("connector", "operation", "attempts", "upstream_status")

Value: TypeAlias = str | bool | int | float | list[str]


Work: TypeAlias = Callable[[Client], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Server:
    """Which service, and how to prove oneself to it."""

    address: str
    ca: Path | None = None
    certificate: Path | None = None
    private_key: Path | None = None
    api_key: Path | None = None

    def config(self) -> ChannelConfig:
        """Reads the files; a key never stands on the command line."""
        api_key = read_api_key(self.api_key)
        check_ca(self.ca)
        check_certificate(self.certificate, self.private_key)
        if self.ca is None and self.certificate is None:
            if api_key and not is_local(self.address):
                fail("an API key needs TLS beyond this machine: give --tls-ca", Exit.USAGE)
            return ChannelConfig(api_key=api_key)
        tls = Tls(
            roots=read_file(self.ca),
            certificate_chain=read_file(self.certificate),
            private_key=read_file(self.private_key),
        )
        return ChannelConfig(tls=tls, api_key=api_key)


def run(server: Server, work: Work, *, asked: Sequence[str] = (), what: str = "operations") -> None:
    """Runs a verb against a service; an error of the service ends it with 64 + N for status N.

    `asked` are the CONNECTOR.NAMEs that the verb is about, of the sort `what` (as the catalog calls
    it): where the service knows none of this name, the nearest one is proposed.
    """
    asyncio.run(_run(server, work, asked, what))


async def _run(server: Server, work: Work, asked: Sequence[str], what: str) -> None:
    async with Client(server.address, config=server.config()) as service:
        try:
            await work(service)
        except InterlaceError as error:
            if error.is_from_network and error.code in _NOBODY:
                fail(_silence(server), Exit.UNREACHABLE)
            number: int = error.code.value[0]
            told = [describe(error), *await _proposals(service, error, asked, what)]
            if error.reason:
                suggest(f"interlace help {error.reason}")
            fail("\n".join(told), Exit.RPC_STATUS + number)


def _silence(server: Server) -> str:
    """What to look at when nobody answers."""
    if server.ca is None and server.certificate is None:
        return f"nothing answers at {server.address}; is it running? (interlace dev)"
    return f"nothing answers at {server.address}; is it running, with a certificate of this CA?"


async def _proposals(
    service: Client, error: InterlaceError, asked: Sequence[str], what: str
) -> list[str]:
    """A line for each name that was asked for and is not there."""
    entries = error.ledger.entries if error.ledger is not None else ()
    if not {error.reason, *(entry.reason for entry in entries)} & _UNKNOWN:
        return []
    from interlaced.manifest.propose import propose_name

    known = [
        f"{connector.name}.{entry.name}"
        for connector in await service.catalog()
        for entry in getattr(connector, what)
    ]
    return [
        f"  {name}: {propose_name(name, known)}".rstrip(": ") for name in asked if name not in known
    ]


def describe(error: InterlaceError) -> str:
    """An error for people: what, why, and when to come back."""
    lines = [f"{f'{error.code.name} {error.reason}'.rstrip()}: {error.message}"]
    lines += [f"  {violation.field}: {violation.description}" for violation in error.fields]
    told = [f"{name.replace('_', ' ')} {error.metadata[name]}" for name in _TOLD
            if error.metadata.get(name, "0") != "0"]  # fmt: skip
    if told:
        lines.append("  " + ", ".join(told))
    if error.retry_after is not None:
        lines.append(f"  come back in {error.retry_after:g} s")
    for entry in error.ledger.entries if error.ledger else ():
        lines.append(f"  {entry.branch}: {entry.reason or 'ok'}")
    return "\n".join(lines)


def split_name(name: str, what: str) -> tuple[str, str]:
    """Splits CONNECTOR.NAME, or ends the command."""
    connector, dot, rest = name.partition(".")
    if not dot or not connector or not rest:
        fail(f"{name}: expected CONNECTOR.{what}, such as shop.ListProducts", Exit.USAGE)
    return connector, rest


def pairs(texts: Iterable[str]) -> dict[str, str]:
    """Reads NAME=VALUE pairs, or ends the command."""
    found: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name:
            fail(f"{text}: expected NAME=VALUE", Exit.USAGE)
        found[name] = value
    return found


async def typed(
    service: Client, connector: str, operation: str, texts: Mapping[str, str]
) -> dict[str, Value]:
    """Gives the texts of the command line the types that the operation declares.

    What the catalog does not know stays text: the service then says what is wrong with it.
    """
    if not texts:
        return {}
    found = await service.connector(connector)
    types = {
        parameter.name: parameter.type
        for known in found.operations
        if known.name == operation
        for parameter in known.parameters
    }
    return {name: _typed(value, types.get(name, "string")) for name, value in texts.items()}


def _typed(text: str, kind: str) -> Value:
    """One value; a text that is not of the type stays text, and the service refuses it."""
    with contextlib.suppress(ValueError):
        if kind == "integer":
            return int(text)
        if kind == "number":
            return float(text)
        if kind == "list":
            return text.split(",")
        if kind == "boolean" and text in ("true", "false"):
            return text == "true"
    return text


def seconds(text: str) -> float | None:
    """Reads a duration option, or ends the command."""
    if not text:
        return None
    try:
        return parse_duration(text)
    except ValueError as error:
        fail(f"{text}: {error}", Exit.USAGE)


def bytes_of(data: str) -> bytes:
    """Reads a body: the text itself, `@FILE`, or `@-` for the standard input."""
    if data == "@-":
        return sys.stdin.buffer.read()
    if data.startswith("@"):
        return read_file(Path(data[1:])) or b""
    return data.encode()


def as_json(data: bytes, media_type: str) -> object:
    """A body as it is shown: JSON as a value, text as text, anything else as its size."""
    if "json" in media_type:
        with contextlib.suppress(ValueError):
            return json.loads(data)
    try:
        return data.decode()
    except UnicodeDecodeError:
        return f"<{len(data)} bytes of {media_type}>"
