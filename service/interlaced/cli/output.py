"""What the command prints and how it ends: results to stdout, talk to stderr, stable codes."""

from __future__ import annotations

import enum
import json
import os
import sys
from collections.abc import Mapping
from typing import Any, NoReturn

__all__ = [
    "CommandError",
    "Exit",
    "Style",
    "fail",
    "paint",
    "print_json",
    "say",
    "show",
    "suggest",
]


class Exit(enum.IntEnum):
    """The exit codes. `interlace call` ends with 64 + N for gRPC status N instead of FAILURE."""

    OK = 0
    FAILURE = 1
    USAGE = 2
    CONFIG_INVALID = 3
    EXPECTATION_FAILED = 4
    REGRESSION = 5
    UNREACHABLE = 6
    RPC_STATUS = 64
    INTERRUPTED = 130


class Style(enum.StrEnum):
    """How results are printed."""

    TEXT = "text"
    JSON = "json"


class CommandError(Exception):
    """Ends the command with `code`; its text is for people and may be printed."""

    def __init__(self, text: str, code: int = Exit.FAILURE) -> None:
        super().__init__(text)
        self.code = code


def show(text: str) -> None:
    """Prints a result."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def print_json(value: Mapping[str, Any] | list[Any]) -> None:
    """Prints a result as one line of JSON."""
    show(json.dumps(value, ensure_ascii=False, separators=(",", ":")))


def say(text: str) -> None:
    """Tells the person at the terminal something that is no result."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def suggest(command: str) -> None:
    """Proposes the next command to the person at the terminal; elsewhere nobody would read it."""
    if sys.stderr.isatty():
        say(f"next:  {command}")


def fail(text: str, code: int = Exit.FAILURE) -> NoReturn:
    """Ends the command."""
    raise CommandError(text, code)


def paint(text: str, color: str) -> str:
    """Colors a text for a terminal; leaves it plain elsewhere and under NO_COLOR."""
    codes = {"red": 31, "green": 32, "yellow": 33, "blue": 34, "dim": 2, "bold": 1}
    if os.environ.get("NO_COLOR") or not sys.stdout.isatty():
        return text
    return f"\x1b[{codes[color]}m{text}\x1b[0m"
