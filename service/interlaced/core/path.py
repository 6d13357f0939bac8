"""The small path form `$.meta.next[0]` and JSON Pointers, compiled to plain look-ups.

`$` is the value itself; `$req.status` and `$payload` name another root, which whoever compiled the
path looks at (`Path.root`) and provides. There are no wildcards, filters or functions: a path leads
to one value or to none.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Final, TypeAlias

__all__ = ["MISSING", "Missing", "Path", "compile_path", "compile_pointer"]


class Missing(enum.Enum):
    """The type of MISSING."""

    MISSING = "missing"

    def __repr__(self) -> str:
        return "MISSING"


MISSING: Final = Missing.MISSING
"""What a path gives where there is nothing; JSON's null is something, and comes as None."""

_LONGEST = 1024
_ROOT = re.compile(r"\$([A-Za-z_]\w*)?")
_STEP = re.compile(
    r"""\.([^\W\d][\w-]*)|\[(-?(?:0|[1-9]\d{0,8}))\]|\['((?:[^'\\]|\\['\\])*)'\]"""
    r"""|\["((?:[^"\\]|\\["\\])*)"\]"""
)
_INDEX = re.compile(r"0|[1-9]\d{0,8}")
_BAD_ESCAPE = re.compile(r"~(?![01])")

_PathStep: TypeAlias = str | int
_Extract: TypeAlias = Callable[[object], object]


@dataclass(frozen=True, slots=True)
class Path:
    """A compiled path. Two paths are equal if their texts are.

    `root` is empty for `$` and JSON Pointers, or the name behind the `$` (`req`, `payload`).
    `steps` are names and indexes. `extract(value)` follows them from the root's value and returns
    what is there or MISSING; it never raises.
    """

    text: str
    root: str = field(compare=False)
    steps: tuple[_PathStep, ...] = field(compare=False)
    extract: _Extract = field(compare=False, repr=False)

    def __str__(self) -> str:
        return self.text


def compile_path(text: str) -> Path:
    """Compiles `$`, `$.name`, `$['a name']`, `$.list[0]` or `$root.name`.

    A negative index counts from the end. ValueError says what is expected, and at which character.
    """
    _check_length(text)
    root = _ROOT.match(text)
    if root is None:
        raise ValueError("expected a path such as $.data.items[0], beginning with $")
    steps: list[_PathStep] = []
    place = root.end()
    while place < len(text):
        step = _STEP.match(text, place)
        if step is None:
            raise ValueError(f"expected .name, [index] or ['name'] at character {place + 1}")
        steps.append(_read_step(step))
        place = step.end()
    return Path(text, root[1] or "", tuple(steps), _compile_steps(tuple(steps)))


def compile_pointer(text: str) -> Path:
    """Compiles a JSON Pointer (RFC 6901) such as `/data/items/0`; the empty text is the whole.

    ValueError says what is expected.
    """
    _check_length(text)
    if text and not text.startswith("/"):
        raise ValueError("expected a JSON Pointer such as /data/items/0, beginning with /")
    if _BAD_ESCAPE.search(text):
        raise ValueError("expected ~0 or ~1 behind a ~ in a JSON Pointer")
    tokens = tuple(token.replace("~1", "/").replace("~0", "~") for token in text.split("/")[1:])
    return Path(text, "", tokens, partial(_follow_tokens, tokens))


def _check_length(text: str) -> None:
    if len(text) > _LONGEST:
        raise ValueError(f"expected a path of at most {_LONGEST} characters")


def _read_step(step: re.Match[str]) -> _PathStep:
    name, index, single, double = step.groups()
    if name is not None:
        return name
    if index is not None:
        return int(index)
    quoted: str = single if single is not None else double
    return re.sub(r"\\(.)", r"\1", quoted)


def _compile_steps(steps: tuple[_PathStep, ...]) -> _Extract:
    """Picks the cheapest look-up: most paths of real manifests have one or two names."""
    if not steps:
        return _whole
    if len(steps) == 1 and isinstance(steps[0], str):
        return partial(_member, steps[0])
    return partial(_follow, steps)


def _whole(value: object) -> object:
    return value


def _member(name: str, value: object) -> object:
    return value.get(name, MISSING) if isinstance(value, dict) else MISSING


def _follow(steps: tuple[_PathStep, ...], value: object) -> object:
    for step in steps:
        if isinstance(step, str):
            if not isinstance(value, dict) or step not in value:
                return MISSING
        elif not isinstance(value, list) or not -len(value) <= step < len(value):
            return MISSING
        value = value[step]  # type: ignore[index]  # the two branches above proved it
    return value


def _follow_tokens(tokens: tuple[str, ...], value: object) -> object:
    """Follows a JSON Pointer, where only the value tells a name from an index."""
    for token in tokens:
        if isinstance(value, dict):
            value = value.get(token, MISSING)
        elif isinstance(value, list) and _INDEX.fullmatch(token) and int(token) < len(value):
            value = value[int(token)]
        else:
            return MISSING
    return value
