"""What GET /status shows of a group: the server as a whole, then every seat."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from interlaced import __version__

__all__ = ["SeatStatus", "merge_status"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SeatStatus:
    """A seat, and what its worker shows of itself; `status` is None where none answers."""

    worker: int
    pid: int | None
    state: str
    restarts: int
    status: Mapping[str, object] | None


def merge_status(seats: Sequence[SeatStatus], *, is_ready: bool) -> dict[str, object]:
    """Returns the keys of a single server's status, and `workers` with one section per seat.

    A connector is well if it is with every worker; else the first reason stands for it.
    `config_hash` and `load_time` are those of the first worker that answers.
    """
    answers = [(seat.worker, seat.status) for seat in seats if seat.status is not None]
    first = answers[0][1] if answers else {}
    connectors: dict[str, dict[str, object]] = {}
    for worker, status in answers:
        for name, state in _connectors(status).items():
            is_new, is_ok = name not in connectors, bool(state.get("is_ok"))
            if is_ok and is_new:
                connectors[name] = {**state}
            elif not is_ok and (is_new or connectors[name].get("is_ok")):
                connectors[name] = {**state, "reason": f"worker {worker}: {state.get('reason')}"}
    return {
        "version": __version__,
        "config_hash": first.get("config_hash", ""),
        "load_time": first.get("load_time", 0.0),
        "is_ready": is_ready,
        "connectors": connectors,
        "workers": [_section(seat) for seat in seats],
    }


def _connectors(status: Mapping[str, object]) -> Mapping[str, Mapping[str, object]]:
    found = status.get("connectors")
    return found if isinstance(found, Mapping) else {}


def _section(seat: SeatStatus) -> dict[str, object]:
    return {
        "worker": seat.worker,
        "pid": seat.pid,
        "state": seat.state,
        "restarts": seat.restarts,
        "status": None if seat.status is None else dict(seat.status),
    }
