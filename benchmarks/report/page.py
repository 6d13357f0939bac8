"""The page as a whole: what answers comes first, then a section per question, then the method."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.flames import Flame
from benchmarks.harness.results import Run
from benchmarks.report import about
from benchmarks.report.answer import answer, budgets
from benchmarks.report.balance import dearer
from benchmarks.report.codec_part import codec_sections
from benchmarks.report.data import Results
from benchmarks.report.flame import flames
from benchmarks.report.markup import Safe, escape
from benchmarks.report.service_part import SECTIONS, service_sections
from benchmarks.report.style import STYLE
from benchmarks.report.wording import commit_text, listed
from benchmarks.summary import judge

__all__ = ["render"]


def render(
    runs: Sequence[Run], *, command: str, files: Sequence[str] = (), stacks: Sequence[Flame] = ()
) -> str:
    """Return the page as one HTML document that loads nothing.

    `files` names the raw data that lies beside it; `stacks` are sampled. Whatever was not measured
    says so.
    """
    judged = judge(runs)
    results = Results(tuple(runs))
    body = [
        _header(runs),
        answer(judged, results),
        _navigation(),
        dearer(results),
        budgets(judged),
        *service_sections(results),
        flames(stacks),
        *codec_sections(results),
        about.machine(runs),
        about.method(),
        about.limits(),
        about.reproduce(command, runs, files),
    ]
    return _DOCUMENT.format(style=STYLE, body="".join(body))


def _header(runs: Sequence[Run]) -> Safe:
    quick = [run.kind for run in runs if "--quick" in run.command]
    facts = [
        *(run.started[:10] for run in runs),
        *(f"commit {commit_text(run.machine)}" for run in runs),
        *(str(run.machine.get("cpu", "")) for run in runs),
        f"quick run of short windows: {listed(quick)}" if quick else "",
    ]
    told = " · ".join(dict.fromkeys(fact for fact in facts if fact))
    return Safe(f'<h1>Interlace benchmarks</h1><p class="soft">{escape(told)}</p>')


def _navigation() -> Safe:
    places = [
        ("dearer", "Dearer"),
        ("budgets", "Budgets"),
        *((anchor, name) for anchor, name, _, _ in SECTIONS),
        ("flames", "Flames"),
        *(
            ("codecs", "Codecs"),
            ("stages", "Stages"),
            ("sizes", "Sizes"),
            ("transcode", "Transcoding"),
        ),
        *(
            ("machine", "Machine"),
            ("method", "Method"),
            ("limits", "Limits"),
            ("reproduce", "Reproduce"),
        ),
    ]
    items = "".join(f'<li><a href="#{anchor}">{name}</a></li>' for anchor, name in places)
    return Safe(f'<nav aria-label="Sections"><ul>{items}</ul></nav>')


_DOCUMENT = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>Interlace benchmarks</title>
<style>{style}</style>
</head>
<body>
<main>
{body}
</main>
</body>
</html>
"""
