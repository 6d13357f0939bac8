"""The fenced snippets of the documents, and what checks each sort of them."""

from __future__ import annotations

import ast
import asyncio
import functools
import inspect
import re
import shlex
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import typer.main
from command import DevService, run

from interlaced.cli.configure import _build
from interlaced.cli.main import build
from interlaced.manifest.problem import ManifestError

ROOT = Path(__file__).resolve().parents[2]
_FENCE = re.compile(r"^( *)```(\S*)[^\n]*\n(.*?)^\1```$", re.M | re.S)
_PACKAGES = {"interlace", "interlaced"}


class Broken(AssertionError):  # noqa: N818  # says what a snippet is
    """A snippet does not do what a reader would expect of it."""


@dataclass(frozen=True)
class Snippet:
    """One fenced block."""

    path: Path
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.path.relative_to(ROOT)}:{self.line}"


@functools.cache
def documents() -> list[Path]:
    """Every document of the repository."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "*.md"],
        cwd=ROOT,
        capture_output=True,
        check=True,
        text=True,
    )
    paths = (ROOT / name for name in sorted(set(listed.stdout.split("\0"))) if name)
    return [path for path in paths if path.is_file()]


def snippets(text: str, path: Path = ROOT / "x.md") -> Iterator[Snippet]:
    """The fenced blocks of a document."""
    for found in _FENCE.finditer(text):
        line = text.count("\n", 0, found.start()) + 1
        yield Snippet(path, line, found[2], found[3])


def all_snippets(*languages: str) -> list[Snippet]:
    """The fenced blocks of all documents that are in one of the languages; all without any."""
    found = [each for path in documents() for each in snippets(path.read_text(), path)]
    return [each for each in found if not languages or each.language in languages]


def check_manifest(text: str, folder: Path) -> list[str]:
    """Loads and builds a manifest as `serve` would, with every variable that it names set; returns
    its connectors."""
    (folder / "manifest.yaml").write_text(text)
    names = re.findall(r"\$\{env:(\w+)", text)
    try:
        generation = _build([folder], {name: _value(name) for name in names})
    except ManifestError as error:
        raise Broken("\n".join(str(problem) for problem in error.problems)) from error
    if not generation.built:
        raise Broken("it has no connector")
    return list(generation.built)


def _value(variable: str) -> str:
    addresses = {"URL": "http://127.0.0.1:1", "WS": "ws://127.0.0.1:1"}
    return addresses.get(variable.rpartition("_")[2], "a value")


async def check_python(text: str, service: DevService) -> None:
    """Executes a snippet against a service; only the address is another one."""
    here = text.replace("127.0.0.1:7070", service.grpc)
    if here == text and "Client(" in text:
        raise Broken("it talks to no address that a reader has")
    try:
        code = compile(here, "snippet", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        running = eval(code, {})
        if inspect.iscoroutine(running):
            async with asyncio.timeout(20):
                await running
    except Exception as error:
        raise Broken(f"{type(error).__name__}: {error}") from error


def check_console(text: str, service: DevService) -> str:
    """Runs every line with a `$`, as a person would; returns what they said."""
    said = []
    for line in text.splitlines():
        if not line.startswith("$ interlace "):
            raise Broken(f"{line}: expected `$ interlace ...`")
        ended = run(*shlex.split(line[2:])[1:], environment=service.environment)
        if ended.code != 0:
            raise Broken(f"{line}: ended with {ended.code}: {ended.err}")
        said.append(ended.out)
    return "".join(said)


def check_shell(text: str) -> int:
    """Checks commands without running them: the targets of make, the options of `interlace`.
    Returns how many there are."""
    checked = 0
    for line in text.splitlines():
        words = shlex.split(line, comments=True)
        check = {"make": _check_make, "interlace": _check_interlace, "pip": _check_pip}
        if words and words[0] not in check:
            raise Broken(f"{line}: nobody checks this command")
        if words:
            check[words[0]](words[1:])
            checked += 1
    return checked


def make_targets() -> Mapping[str, str]:
    """What can be made, with what `make` says about it."""
    told = re.findall(r"^([a-z-]+):[^#\n]*## (.*)$", (ROOT / "Makefile").read_text(), re.M)
    return dict(told)


def _check_make(words: list[str]) -> None:
    for word in words:
        if "=" not in word and word not in make_targets():
            raise Broken(f"make {word}: no such target")


def _check_interlace(words: list[str]) -> None:
    group = typer.main.get_command(build())
    assert isinstance(group, typer.core.TyperGroup)
    context = group.make_context("interlace", list(words), resilient_parsing=True)
    verb = group.get_command(context, words[0])
    if verb is None:
        raise Broken(f"interlace {words[0]}: no such verb")
    try:
        verb.make_context(words[0], list(words[1:]), parent=context)
    except Exception as error:
        raise Broken(f"interlace {' '.join(words)}: {error}") from error


def _check_pip(words: list[str]) -> None:
    verb, *names = words
    if verb != "install" or {re.split(r"[\[=<>]", name)[0] for name in names} - _PACKAGES:
        raise Broken(f"pip {' '.join(words)}: no package of ours")
