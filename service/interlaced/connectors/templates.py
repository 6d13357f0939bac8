"""Templates of manifests, compiled: `$req.NAME`, `$payload.PATH` and `$.PATH` inside JSON trees.

A template is a tree and stays one: nothing is ever put into a text.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

from interlaced.codecs.codec import Value
from interlaced.connectors.parameters import Arguments, Parameters, as_text
from interlaced.core.failure import Failure, Reached, Reason
from interlaced.core.path import MISSING, compile_path

__all__ = ["Make", "compile_pairs", "compile_pick", "compile_value", "literal_of", "reference_of"]

Make: TypeAlias = Callable[[Arguments, Value], Value]
"""Makes a value of a call's parameters and its payload's value."""


def reference_of(text: str) -> str | None:
    """Returns the parameter that `$req.NAME` names, or None for a text that names none; ValueError
    for any other path."""
    if not text.startswith("$") or text.startswith("$$"):
        return None
    path = compile_path(text)
    if path.root != "req" or len(path.steps) != 1 or not isinstance(path.steps[0], str):
        raise ValueError(f"expected $req.NAME, or $$ for a dollar sign, not {text}")
    return path.steps[0]


def literal_of(value: str | float) -> str:
    """Writes a literal of a template as text; `$$` stands for one dollar sign."""
    text = as_text(value)
    return text[1:] if text.startswith("$$") else text


def compile_pairs(
    template: Mapping[str, str | int | float | bool], known: Parameters
) -> Callable[[Arguments], list[tuple[str, str]]]:
    """Compiles a query or a form: a list repeats its name, what is missing is left out."""
    plan: list[tuple[str, str | None, str]] = []
    for key, value in template.items():
        name = reference_of(value) if isinstance(value, str) else None
        plan.append((key, known.use(name) if name else None, literal_of(value)))

    def build(arguments: Arguments) -> list[tuple[str, str]]:
        pairs = []
        for key, name, text in plan:
            if name is None:
                pairs.append((key, text))
                continue
            value = arguments.get(name)
            if isinstance(value, tuple):
                pairs += [(key, each) for each in value]
            elif value is not None:
                pairs.append((key, as_text(value)))
        return pairs

    return build


def compile_value(template: Value, known: Parameters, uses: list[str]) -> Make:
    """Compiles one value of a document; MISSING leaves its member out. `uses` collects the paths
    into the payload. ValueError for a path that leads nowhere."""
    if isinstance(template, dict):
        members = {key: compile_value(each, known, uses) for key, each in template.items()}
        return lambda arguments, payload: {
            key: value
            for key, make in members.items()
            if (value := make(arguments, payload)) is not MISSING
        }
    if isinstance(template, list):
        items = [compile_value(each, known, uses) for each in template]
        return lambda arguments, payload: [
            value for make in items if (value := make(arguments, payload)) is not MISSING
        ]
    if isinstance(template, str) and template.startswith("$") and not template.startswith("$$"):
        return _compile_reference(template, known, uses)
    literal = literal_of(template) if isinstance(template, str) else template
    return lambda _, __: literal


def _compile_reference(template: str, known: Parameters, uses: list[str]) -> Make:
    path = compile_path(template)
    if path.root == "payload":
        uses.append(template)
        return lambda _, payload: path.extract(payload)
    name = known.use(reference_of(template) or "")

    def take(arguments: Arguments, _: Value) -> Value:
        value = arguments.get(name, MISSING)
        return list(value) if isinstance(value, tuple) else value

    return take


def compile_pick(template: Value) -> Callable[[Value], Value]:
    """Compiles what of an answer a caller gets: a path, or a tree of paths. What an answer lacks is
    CONTRACT_DRIFT, with the path as its place."""
    if isinstance(template, dict):
        members = {key: compile_pick(each) for key, each in template.items()}
        return lambda value: {key: pick(value) for key, pick in members.items()}
    if not isinstance(template, str) or not template.startswith("$"):
        raise ValueError("`reply` is made of paths such as $.data")
    path = compile_path(template)
    if path.root:
        raise ValueError("`reply` looks at the answer, whose paths begin with `$.`")

    def pick(value: Value) -> Value:
        found = path.extract(value)
        if found is MISSING:
            raise Failure(
                Reason.CONTRACT_DRIFT,
                "The upstream's answer lacks a value that it should have.",
                reached=Reached.REPLIED,
                place=template,
            )
        return found

    return pick
