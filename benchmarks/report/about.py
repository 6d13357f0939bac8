"""What stands behind the figures: the machine, the method, its limits, and how to do it again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from benchmarks.harness.results import Run
from benchmarks.report.data import NOT_MEASURED
from benchmarks.report.markup import Cell, Safe, code, escape, paragraph, section, table
from benchmarks.report.wording import DASH, commit_text

__all__ = ["limits", "machine", "method", "reproduce"]

METHOD = """\
Each scenario runs against Interlace and against the hand-written baseline in turn, window by
window, A B B A, in one run; the first windows of both warm up and are not counted.

The figure that is compared is CPU time of the serving process per call, read from the kernel
before and after each window. The ratio is the median of the windows' ratios.

Intervals are for 95 %: a bootstrap over windows with a fixed seed, for ratios no narrower than
the two of them between which the median lies whatever their distribution is. With few pairs of
windows they cover less, at most 94 % for 5, 75 % for 3 and 50 % for 2: the tables say so beside
the ratio, and no verdict of fewer than 6 pairs is called clear. No window is left out as an
outlier. IQR is the distance between the quartiles. A dash stands where nothing was measured.

The baseline is a plain grpc.aio servicer with one tuned aiohttp session: no policies, no metrics,
no validation, no patient threads, no acceptors. Interlace runs with its default policies and
metrics on; its bulkhead, which lets 64 calls through to an upstream by default, is widened to 512,
with 1,024 in its queue, so that it refuses nothing that is measured.

Ceilings come from a closed loop, latencies from an open loop that times each call from its
planned moment, so that a stall is seen by every call that it delays. A p99 is shown from 100
calls in a window on, a p99.9 from 10,000 on.

The upstream answers with a fixed body and, in each answer, a head of its own, so that nobody gains
by remembering heads.

An answer counts after its status and its content were checked. A window with an error is shown
with it, and the case has no ratio.

Codecs: at least 20 rounds, encoders made outside of the timed part for all, equal content
asserted by round trip before anything is timed, peak memory in a process of its own per case. A
figure stands out where the 95 % interval of its median lies below those of all others in its row.
"""
LIMITS = """\
A network. Client, server and upstream share one machine and talk over loopback, so that latencies
leave out what a network adds, and the three compete for memory and caches.

Absolute speed elsewhere. The machine is virtual and shared: a rate or a latency holds for it and
that hour. Ratios of windows run in turn carry over much better, and are what is judged.

Other languages. A baseline in Go or C++ would cost less per call; this one answers what a service
in Python written by hand would.

Real upstreams. The upstream answers at once with a fixed body; one that takes 50 ms hides most of
what is compared here behind its own time.

Long runs. Windows last seconds; growth over hours is the matter of the soak test.

Many tenants, cold caches, and configurations that differ from the defaults.
"""


_NAMES = {
    "cpu": "processor",
    "cores": "number of cores",
    "usable_cores": "cores that the run could use",
    "threads_per_core": "threads per core",
    "memory_gb": "memory, GB",
    "build": "build of Python",
    "optimized": "Python's -O",
    "loop": "event loop",
    "load_before": "load average before",
    "load_after": "load average after",
}
"""How the table calls what a machine block has at its top."""


def machine(runs: Sequence[Run]) -> Safe:
    """Return the machine block of every run; runs on the same machine share one table."""
    blocks = [(run, dict(_flat(run.machine))) for run in runs]
    if not blocks:
        return section("machine", "On which machine?", [NOT_MEASURED])
    names = dict.fromkeys(name for _, block in blocks for name in block)
    rows: list[list[Cell]] = [
        [name, *(block.get(name) or DASH for _, block in blocks)] for name in names
    ]
    started: list[list[Cell]] = [["started", *(run.started for run in runs)]]
    heads = ["", *(run.kind for run in runs)]
    whole = table(
        "The machine, the versions and the load around the run", heads, [*started, *rows], words=9
    )
    return section("machine", "On which machine?", [whole])


def _flat(block: Mapping[str, Any], *, before: str = "") -> Iterable[tuple[str, str]]:
    for name, value in block.items():
        told = _NAMES.get(name) or f"{before}{name}".replace("_", " ")
        if isinstance(value, Mapping):
            inside = {"libraries": "version of ", "given": "cores given to the "}
            yield from _flat(value, before=inside.get(name, f"{told} "))
        elif isinstance(value, list | tuple):
            yield told, ", ".join(_plain(one) for one in value)
        elif name == "commit":
            yield told, commit_text(block)
        else:
            yield told, _plain(value)


def _plain(value: object) -> str:
    return f"{value:.2f}" if isinstance(value, float) else str(value)


def method() -> Safe:
    """Return the box of the method."""
    return section("method", "How was it measured?", [_bullets(METHOD)])


def limits() -> Safe:
    """Return what the figures do not tell."""
    return section("limits", "What does this not measure?", [_bullets(LIMITS)])


def _bullets(text: str) -> str:
    """A list with a point per paragraph."""
    points = "".join(f"<li>{escape(point)}</li>" for point in text.strip().split("\n\n"))
    return f"<ul>{points}</ul>"


def reproduce(command: str, runs: Sequence[Run], files: Sequence[str]) -> Safe:
    """Return the command that measures it again, and the raw data beside the page."""
    links = ", ".join(f'<a href="{escape(name)}">{escape(name)}</a>' for name in files)
    ran = "; ".join(f"{code(run.command)}" for run in runs)
    parts = [
        Safe(f"<pre><code>{escape(command)}</code></pre>"),
        paragraph(Safe(f"What is shown here was measured by {ran}.")) if runs else "",
        paragraph(
            Safe(f"Every window that was timed is in the raw data beside this page: {links}.")
        )
        if links
        else "",
        paragraph(
            Safe(
                f"{code('interlace bench compare A B')} puts two such files side by side and says "
                "improved, regressed or within noise; the seeds are fixed."
            )
        ),
    ]
    return section("reproduce", "How can I do it again?", parts)
