"""`python -m benchmarks.codecs`: measures the codecs and prints what it found."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.codecs.cases import REFUSED
from benchmarks.codecs.codec import DOCUMENT
from benchmarks.codecs.converting import CONVERTING
from benchmarks.codecs.libraries import MODULES
from benchmarks.codecs.plan import find_documents
from benchmarks.codecs.run import FAILED, documents_of, plan, run_tasks
from benchmarks.codecs.shapes import SHAPES
from benchmarks.codecs.table import render, render_long
from benchmarks.harness.results import Case, write_run

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the command line asks for. Return 1 where content was lost, or a process failed."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    asked = _parser().parse_args(given)
    tasks = plan(
        _listed(asked.only, [*MODULES, "transcode"]),
        _listed(asked.shape, [*SHAPES, *CONVERTING]),
        documents_of(find_documents(asked.corpus)) if asked.corpus else [],
        is_quick=asked.quick,
    )
    command = shlex.join(["python", "-m", "benchmarks.codecs", *_public(given)])
    run = run_tasks(tasks, command, lambda line: print(line, file=sys.stderr, flush=True))
    write_run(run, asked.json)
    print(render(run.cases))
    if asked.long:
        print(render_long(run.cases))
    print(f"written to {asked.json}")
    return 1 if any(_is_wrong(one) for one in run.cases) else 0


def _is_wrong(case: Case) -> bool:
    """Whether it failed, or lost content of the schema; a document may be too much for Struct."""
    if case.scenario == REFUSED:
        return case.variant["content"] != DOCUMENT
    return case.scenario == FAILED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.codecs", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="about a minute instead of many")
    parser.add_argument("--corpus", type=Path, help="a folder of documents: .json, .json.xz")
    parser.add_argument("--only", default="", help="libraries, or transcode; comma between")
    parser.add_argument("--shape", default="", help="shapes; comma between")
    parser.add_argument("--long", action="store_true", help="each figure with its interval too")
    parser.add_argument("--json", type=Path, default=Path("build/bench/codecs.json"))
    return parser


def _listed(text: str, known: Sequence[str]) -> list[str]:
    names = [name for name in text.split(",") if name]
    unknown = sorted(set(names) - set(known))
    if unknown:
        _parser().error(f"no such name: {', '.join(unknown)}; there are {', '.join(known)}")
    return names


def _public(given: Sequence[str]) -> list[str]:
    """The arguments without the folders of this machine, which mean nothing elsewhere."""
    return [Path(one).name if one.startswith("/") else one for one in given]


if __name__ == "__main__":
    sys.exit(main())
