"""The verbs about manifests: `lint`, `explain`, `schema`, `help`."""

import asyncio
import difflib
import enum
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from interlaced.cli.output import Exit, fail, print_json, say, show

if TYPE_CHECKING:
    from interlaced.manifest.build import Generation
    from interlaced.manifest.problem import Problem

__all__ = ["LintStyle", "explain", "help_code", "lint", "register", "schema"]


class LintStyle(enum.StrEnum):
    """How problems are printed: for people, for programs, or as annotations of GitHub."""

    TEXT = "text"
    JSON = "json"
    GITHUB = "github"


def register(app: typer.Typer) -> None:
    """Adds the verbs."""
    app.command("lint")(lint)
    app.command("explain")(explain)
    app.command("schema")(schema)
    app.command("help")(help_code)


def lint(
    paths: Annotated[list[Path], typer.Argument(help="Manifests, or directories of them.")],
    *,
    output: Annotated[LintStyle, typer.Option("--format")] = LintStyle.TEXT,
) -> None:
    """Check manifests.

    Shows every problem of every file, with line, column and a proposal. The exit code is 3 if there
    is one; warnings alone are 0.

    Example: interlace lint ./connectors
    """
    from interlaced.manifest.problem import ManifestError

    try:
        generation = _build(paths, os.environ)
    except ManifestError as error:
        _print_problems(error.problems, output)
        fail(str(error), Exit.CONFIG_INVALID)
    _print_problems(generation.warnings, output)
    if output is LintStyle.TEXT:
        count = len(generation.built)
        show(f"{count} connector{'s' * (count != 1)}: no problem found")


def explain(
    name: Annotated[str, typer.Argument(metavar="CONNECTOR[.OPERATION]")],
    *,
    config: Annotated[
        list[Path],
        typer.Option("--config", "-c", help="Your manifests; without, those of `interlace dev`."),
    ] = [],  # noqa: B006  # typer copies it
) -> None:
    """Print an operation's policy in force.

    With it: where each value is from, the worst that a call can take, and how it can fail.

    Example: interlace explain shop.GetProduct --config ./connectors
    """
    from interlaced.core.failure import Failure
    from interlaced.manifest.explain import explain as explain_operation
    from interlaced.manifest.problem import ManifestError, render

    try:
        generation = _build(config, os.environ) if config else _build_demo()
        show(explain_operation(generation, name))
    except ManifestError as error:
        for problem in error.problems:
            say(render(problem))
        fail(str(error), Exit.CONFIG_INVALID)
    except Failure as failure:
        hint = failure.context.get("hint", "")
        fail(f"{name}: {failure.message}{f'; {hint}' if hint else ''}", Exit.USAGE)


def schema() -> None:
    """Print the JSON Schema of manifests.

    Example: interlace schema > interlace.schema.json
    """
    from interlaced.manifest.schema import manifest_schema

    show(json.dumps(manifest_schema(), indent=2))


def help_code(
    code: Annotated[str, typer.Argument(help="A code such as IL112, or a reason of an error.")],
) -> None:
    """Explain a code of `lint` or a reason.

    Example: interlace help IL112
    """
    from interlaced.manifest.codes import CODES

    wanted = code.upper()
    texts = {known.value: f"{told.title}\n\n{told.text}" for known, told in CODES.items()}
    texts |= _reasons()
    if wanted not in texts:
        fail(f"{code} is not known{_proposal(wanted, list(texts))}", Exit.USAGE)
    show(f"{wanted}: {texts[wanted]}")


def _reasons() -> dict[str, str]:
    """What each reason of an error means: its gRPC code, and what to do."""
    from interlaced.cli.reasons import REASONS
    from interlaced.rpc.status import CODES

    return {
        reason.value: f"{told.meaning}\n\ngRPC {CODES[reason].name}. {told.action}"
        for reason, told in REASONS.items()
    }


def _build(paths: Sequence[Path], environment: Mapping[str, str]) -> "Generation":
    """Loads and builds what `serve` would serve, without opening anything."""
    from random import Random

    from interlaced.core.clock import LoopClock
    from interlaced.core.ports import Tools
    from interlaced.manifest.build import build
    from interlaced.manifest.load import load
    from interlaced.resilience.admission import Admission
    from interlaced.telemetry.metrics import Metrics

    async def within_loop() -> "Generation":
        tools = Tools(LoopClock(), Random(0), Metrics(), {"brokers": {}})  # noqa: S311  # no secret
        return build(load(paths, env=environment), tools=tools, admission=Admission(1))

    return asyncio.run(within_loop())


def _build_demo() -> "Generation":
    """Builds the connectors of `interlace dev`; their addresses do not matter here."""
    from importlib.resources import as_file

    from interlaced.dev.upstreams import manifests

    nowhere = {"SHOP_URL": "http://127.0.0.1:1", "TICKER_URL": "ws://127.0.0.1:1"}
    with as_file(manifests()) as folder:
        return _build([folder], {**os.environ, **nowhere})


def _print_problems(problems: Sequence["Problem"], output: LintStyle) -> None:
    """Prints problems in the style that was asked for."""
    from interlaced.manifest.problem import render

    for problem in problems:
        if output is LintStyle.JSON:
            print_json(_problem_record(problem))
        elif output is LintStyle.GITHUB:
            place = f"file={problem.file},line={problem.line},col={problem.column}"
            text = f"{problem.message}{f'; {problem.hint}' if problem.hint else ''}"
            show(f"::{problem.severity} {place},title={problem.code}::{_escape(text)}")
        else:
            show(render(problem))


def _escape(text: str) -> str:
    """A text as the value of a workflow command of GitHub."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _problem_record(problem: "Problem") -> dict[str, Any]:
    """A problem as a record of the JSON output, version 1."""
    record = {"version": 1, "file": problem.file, "line": problem.line, "column": problem.column}
    told = {"code": str(problem.code), "message": problem.message, "hint": problem.hint}
    return {**record, **told, "severity": str(problem.severity)}


def _proposal(wanted: str, known: Sequence[str]) -> str:
    """The nearest known name, as the end of a sentence."""
    near = difflib.get_close_matches(wanted, known, n=1)
    return f"; did you mean {near[0]}?" if near else ""
