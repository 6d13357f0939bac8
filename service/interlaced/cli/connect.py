"""How the asking verbs reach a server: options, arguments, and errors as exit codes."""

import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncIterator, Coroutine, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import typer

from interlace import ChannelConfig, Client, InterlaceError, Tls
from interlaced.cli.output import Exit, fail, say
from interlaced.core.units import parse_duration

__all__ = [
    "ApiKeyOption",
    "CaOption",
    "CertOption",
    "KeyOption",
    "Server",
    "ServerOption",
    "as_json",
    "bytes_of",
    "client",
    "describe",
    "pairs",
    "run",
    "seconds",
    "split_name",
    "typed",
]

ServerOption = Annotated[
    str, typer.Option(help="The gRPC address of the service.", envvar="INTERLACE_SERVER")
]
CaOption = Annotated[Path | None, typer.Option("--tls-ca", help="Trust this CA, PEM.")]
CertOption = Annotated[Path | None, typer.Option("--tls-cert", help="Client certificate, PEM.")]
KeyOption = Annotated[Path | None, typer.Option("--tls-key", help="Its private key, PEM.")]
ApiKeyOption = Annotated[Path | None, typer.Option(help="A file that holds an API key.")]

Value: TypeAlias = str | bool | int | float | list[str]


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
        if self.ca is None and self.certificate is None:
            return ChannelConfig(api_key=_text(self.api_key))
        tls = Tls(
            roots=_read(self.ca),
            certificate_chain=_read(self.certificate),
            private_key=_read(self.private_key),
        )
        return ChannelConfig(tls=tls, api_key=_text(self.api_key))


@contextlib.asynccontextmanager
async def client(server: Server) -> AsyncIterator[Client]:
    """Connects to the service for the length of a block."""
    async with Client(server.address, config=server.config()) as connected:
        yield connected


def run(work: Coroutine[Any, Any, None]) -> None:
    """Runs a verb; an error of the service ends with 64 + N for gRPC status N."""
    try:
        asyncio.run(work)
    except InterlaceError as error:
        if error.is_from_network:
            fail("the service does not answer; is it running? (interlace dev)", Exit.UNREACHABLE)
        say(describe(error))
        number: int = error.code.value[0]
        raise typer.Exit(Exit.RPC_STATUS + number) from error


def describe(error: InterlaceError) -> str:
    """An error for people: what, why, and when to come back."""
    lines = [f"interlace: {error.code.name} {error.reason}: {error.message}"]
    lines += [f"  {violation.field}: {violation.description}" for violation in error.fields]
    told = {name: error.metadata[name] for name in ("operation", "attempts", "upstream_status")
            if error.metadata.get(name)}  # fmt: skip
    if told:
        lines.append("  " + ", ".join(f"{name} {value}" for name, value in told.items()))
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
        return _read(Path(data[1:])) or b""
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


def _read(path: Path | None) -> bytes | None:
    if path is None:
        return None
    try:
        return path.read_bytes()
    except OSError:
        fail(f"{path}: cannot be read", Exit.USAGE)


def _text(path: Path | None) -> str:
    return (_read(path) or b"").decode().strip()
