"""The verbs that measure: `bench quick | codecs | service | compare | report | gate`.

The suite is part of a checkout and never of an installation. It is found from the current directory
upwards and runs as a process of its own, with the Python that runs this command.
"""

import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Annotated

import typer

from interlaced.cli.output import CommandError, Exit, fail, suggest

__all__ = ["codecs", "compare", "find_checkout", "gate", "quick", "register", "report", "service"]

_RESULTS = Path("build") / "bench"
_SUITES = ("codecs", "service")

bench = typer.Typer(
    name="bench",
    help="Run the benchmark suite of a checkout.",
    no_args_is_help=True,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Example: interlace bench quick && interlace bench gate",
)


def register(app: typer.Typer) -> None:
    """Adds the group."""
    for verb in (quick, codecs, service, report, gate, compare):
        bench.command(verb.__name__)(verb)
    app.add_typer(bench, name="bench")


def quick() -> None:
    """Measure what the budgets need, in at most 4 minutes.

    Runs both suites in short, then writes build/bench/summary.json and build/bench/report.html.

    Example: interlace bench quick
    """
    root = find_checkout(Path.cwd())
    _forget(root, *_SUITES)
    again = ("--command", "interlace bench quick")
    codes = [_run(root, f"benchmarks.{suite}", "--quick") for suite in _SUITES]
    _must(root, "benchmarks.summary", *again)
    _must(root, "benchmarks.report", *again)
    for suite, code in zip(_SUITES, codes, strict=True):
        if code:
            fail(f"benchmarks.{suite} ended with {code}; the report says what is missing")
    suggest("interlace bench gate")


def codecs() -> None:
    """Measure serialization, library by library.

    Example: interlace bench codecs
    """
    root = find_checkout(Path.cwd())
    _forget(root, "codecs")
    _must(root, "benchmarks.codecs")
    suggest("interlace bench report")


def service() -> None:
    """Measure the whole service beside its baseline.

    Example: interlace bench service
    """
    root = find_checkout(Path.cwd())
    _forget(root, "service")
    _must(root, "benchmarks.service")
    suggest("interlace bench report")


def report(
    *,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The folder to write; else build/bench.")
    ] = None,
) -> None:
    """Write the summary and the page of what was measured.

    Example: interlace bench report
    """
    root = find_checkout(Path.cwd())
    again = ("--command", "make bench")
    _must(root, "benchmarks.summary", *again)
    where = ("--output", str(output.absolute())) if output else ()
    _must(root, "benchmarks.report", *again, *where)


def gate() -> None:
    """End with 5 if a budget fails or was not measured.

    Example: interlace bench quick && interlace bench gate
    """
    _must(find_checkout(Path.cwd()), "benchmarks.gate")


def compare(
    before: Annotated[Path, typer.Argument(metavar="A", help="Results of the older run.")],
    after: Annotated[Path, typer.Argument(metavar="B", help="Results of the newer run.")],
    *,
    threshold: Annotated[
        float, typer.Option(min=0, max=100, help="Percent that count as noise.")
    ] = 5.0,
    gate: Annotated[bool, typer.Option("--gate", help="End with 5 if a case regressed.")] = False,
) -> None:
    """Say improved, regressed or within noise, case by case.

    Example: interlace bench compare before/service.json build/bench/service.json
    """
    files = (str(before.absolute()), str(after.absolute()))
    options = ("--threshold", str(threshold), *(("--gate",) if gate else ()))
    _must(find_checkout(Path.cwd()), "benchmarks.compare", *files, *options)


def find_checkout(start: Path) -> Path:
    """Returns the checkout around `start`, or ends the command where there is none."""
    for folder in (start, *start.parents):
        if (folder / "benchmarks" / "__init__.py").is_file() and _is_ours(folder):
            return folder
    raise CommandError(
        f"{start}: no checkout of Interlace here or above; the benchmarks run from its sources "
        "and are not installed",
        Exit.USAGE,
    )


def _is_ours(folder: Path) -> bool:
    try:
        project = tomllib.loads((folder / "pyproject.toml").read_text()).get("project", {})
    except (OSError, ValueError):
        return False
    return bool(project.get("name") == "interlaced")


def _forget(root: Path, *suites: str) -> None:
    """Removes what an older run left, so that nothing of it is taken for what is measured now."""
    for name in (*suites, "summary"):
        (root / _RESULTS / f"{name}.json").unlink(missing_ok=True)


def _must(root: Path, module: str, *arguments: str) -> None:
    """Runs a module of the suite; ends the command with its exit code where that is not 0."""
    code = _run(root, module, *arguments)
    if code in {Exit.USAGE, Exit.REGRESSION, Exit.INTERRUPTED}:
        raise typer.Exit(code)
    if code:
        fail(f"{module} ended with {code}", Exit.FAILURE)


def _run(root: Path, module: str, *arguments: str) -> int:
    """Runs a module in the checkout, its output being ours; Ctrl-C ends it before the command."""
    line = [sys.executable, "-m", module, *arguments]
    with subprocess.Popen(line, cwd=root) as process:  # noqa: S603  # our own module
        try:
            return process.wait()
        except KeyboardInterrupt:
            process.wait()
            raise
