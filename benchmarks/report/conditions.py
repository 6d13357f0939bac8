"""The conditions under which a figure holds, in the words that stand beside it."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.harness.results import Run
from benchmarks.report.balance import in_times
from benchmarks.report.data import Results
from benchmarks.report.measured import batch_of, shown_ratio
from benchmarks.service.manifests import WIDE

__all__ = ["LIBRARY", "OF_BOTH", "few_published", "published", "threads"]

LIBRARY = "a library so far: no call of the service runs it"
"""What the transcoder is."""
OF_BOTH = (
    "Interlace has its default policies and its metrics on, the bulkhead widened from 64 to "
    f"{WIDE['in_flight']} in flight and {WIDE['queue']:,} queued; the baseline has none of them."
)
"""What the two sides have and have not."""
_ACCEPTORS = (
    "Interlace asks grpc.aio for sixteen RPCs at a time, by its inside; the baseline is written "
    "against the public interface, which takes one after another."
)


def threads(runs: Sequence[Run]) -> str:
    """Return what is done to gRPC on one side only, and what it has to do with this machine."""
    given = [run.machine.get("given") for run in runs]
    servers = [one.get("server") for one in given if isinstance(one, dict)]
    if any(isinstance(cores, list) and len(cores) == 1 for cores in servers):
        return (
            "Each server has one core, which its event loop and gRPC's poller share; Interlace's "
            "patient threads make that cheaper, and the baseline has none. "
        ) + _ACCEPTORS
    return f"Interlace has patient threads, which the baseline has not. {_ACCEPTORS}"


def published(results: Results) -> str:
    """Return how many events a Publish had where the feed was saturated; nothing if unknown."""
    batches = {batch_of(case) for case in results.find("subscribe")} - {None}
    return f"published {max(b for b in batches if b)} at a time" if len(batches) == 1 else ""


def few_published(results: Results) -> str:
    """Return what is left of the gain with fewer events per Publish, smallest batch last."""
    odd = [
        (batch, ratio)
        for case in results.find("subscribe_odd")
        if not case.variant.get("stalled")
        and (batch := batch_of(case))
        and (ratio := shown_ratio(case))
    ]
    told = [
        f"{in_times(ratio)} times {'one' if batch == 1 else batch} at a time"
        for batch, ratio in sorted(odd, key=lambda pair: -pair[0])
    ]
    return " and ".join(told)
