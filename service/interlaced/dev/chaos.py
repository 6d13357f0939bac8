"""The faults that the fake upstreams play on request."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from random import Random

from interlaced.core.failure import Failure, FieldViolation, Reason
from interlaced.core.ports import Clock
from interlaced.core.units import format_duration, parse_duration, parse_share

__all__ = ["Chaos", "Fault"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """How an upstream misbehaves. Times are in seconds; the default does nothing.

    For requests: `fail` is the share of them that is answered with `status`; `latency` is added
    before the answer; `reset` cuts the connection; `malformed` answers HTML where JSON is due;
    `truncated` ends the body early. For feeds: `drop` and `reorder` are how many of the next
    messages are left out or swapped, `duplicate` how many are sent twice; `stall` sends nothing
    for a while; `disconnect` cuts every connection.
    """

    fail: float = 0.0
    status: int = 503
    retry_after: float | None = None
    latency: float = 0.0
    reset: bool = False
    malformed: bool = False
    truncated: bool = False
    drop: int = 0
    reorder: int = 0
    duplicate: int = 0
    stall: float = 0.0
    disconnect: bool = False


_Read = Callable[[object], object]


def _share(value: object) -> float:
    if isinstance(value, str):
        return parse_share(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise ValueError("expected a share such as 0.6 or 60%")
    return float(value)


def _duration(value: object) -> float:
    if isinstance(value, str):
        return parse_duration(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 86400:
        raise ValueError("expected a duration such as 300ms or 2s")
    return float(value)


def _status(value: object) -> int:
    if type(value) is not int or not 400 <= value <= 599:
        raise ValueError("expected a status between 400 and 599")
    return value


def _count(value: object) -> int:
    if type(value) is not int or not 0 <= value <= 1_000_000:
        raise ValueError("expected a count of messages")
    return value


def _flag(value: object) -> bool:
    if type(value) is not bool:
        raise ValueError("expected true or false")
    return value


_READERS: Mapping[str, _Read] = {
    "fail": _share,
    "status": _status,
    "retry_after": _duration,
    "latency": _duration,
    "reset": _flag,
    "malformed": _flag,
    "truncated": _flag,
    "drop": _count,
    "reorder": _count,
    "duplicate": _count,
    "stall": _duration,
    "disconnect": _flag,
}


class Chaos:
    """What each fake upstream is to do wrong, and until when; chance is seeded.

    The upstreams ask; whoever has the admin port posts. `on_change` callbacks of an upstream are
    called when its fault changes, so that a cut comes at once.
    """

    def __init__(self, upstreams: Sequence[str], *, clock: Clock, random: Random) -> None:
        self._clock = clock
        self._random = random
        self._faults: dict[str, tuple[Fault, float]] = {}
        self._listeners: dict[str, list[Callable[[], object]]] = {name: [] for name in upstreams}

    @property
    def upstreams(self) -> Sequence[str]:
        """The names of the upstreams."""
        return tuple(self._listeners)

    def on_change(self, upstream: str, callback: Callable[[], object]) -> None:
        """Has `callback` called whenever the fault of `upstream` is set or cleared."""
        self._listeners[upstream].append(callback)

    def fault(self, upstream: str) -> Fault:
        """Returns what `upstream` is to do wrong now."""
        fault, until = self._faults.get(upstream, (_NONE, 0.0))
        return fault if self._clock.now() < until else _NONE

    def draws_failure(self, upstream: str) -> bool:
        """Draws whether the next request is to fail."""
        share = self.fault(upstream).fail
        return share > 0 and self._random.random() < share

    def take(self, upstream: str, counter: str) -> bool:
        """Uses one of `drop`, `reorder` or `duplicate` up, and tells whether there was one."""
        fault, until = self._faults.get(upstream, (_NONE, 0.0))
        left = getattr(fault, counter)
        if self._clock.now() >= until or left <= 0:
            return False
        self._faults[upstream] = (replace(fault, **{counter: left - 1}), until)
        return True

    def set(self, upstream: str, spec: Mapping[str, object]) -> Fault:
        """Replaces the fault of `upstream` by what `spec` says, such as `{"fail": 0.6, "status":
        429, "retry_after": "2s", "for": "10s"}`. INVALID_REQUEST with the field on nonsense."""
        if upstream not in self._listeners:
            raise _invalid("upstream", f"expected one of {', '.join(self._listeners)}")
        values = dict(spec)
        seconds = _read("for", _duration, values.pop("for")) if "for" in values else float("inf")
        fault = _parse(values)
        self._faults[upstream] = (fault, self._clock.now() + float(str(seconds)))
        self._tell(upstream)
        return fault

    def clear(self, upstream: str | None = None) -> None:
        """Ends the misbehaviour of one upstream, or of all."""
        for name in [upstream] if upstream is not None else list(self._faults):
            self._faults.pop(name, None)
            self._tell(name)

    def _tell(self, upstream: str) -> None:
        for callback in self._listeners.get(upstream, ()):
            callback()

    def apply(self, payload: Mapping[str, object]) -> Mapping[str, object]:
        """Does what the admin port was posted: `{"upstream": "shop", "fail": 0.6, ...}` sets,
        `{"upstream": "shop", "clear": true}` clears one, `{"clear": true}` all, `{}` only asks.

        Returns the faults in force by upstream. INVALID_REQUEST with the field on nonsense, and
        nothing has changed then.
        """
        values = dict(payload)
        upstream = values.pop("upstream", None)
        if upstream is not None and not (isinstance(upstream, str) and upstream in self._listeners):
            raise _invalid("upstream", f"expected one of {', '.join(self._listeners)}")
        is_clear = _read("clear", _flag, values.pop("clear", False))
        if is_clear and values:
            raise _invalid("clear", "expected nothing beside it but an upstream")
        if values and not isinstance(upstream, str):
            raise _invalid("upstream", f"expected one of {', '.join(self._listeners)}")
        name = upstream if isinstance(upstream, str) else None
        if is_clear:
            self.clear(name)
        elif name is not None and values:
            self.set(name, values)
        return self.report()

    def report(self) -> Mapping[str, object]:
        """Returns the faults in force, as JSON: by upstream what differs from good behaviour."""
        now = self._clock.now()
        return {
            name: _describe(fault, until - now)
            for name, (fault, until) in sorted(self._faults.items())
            if now < until
        }


_NONE = Fault()


def _parse(values: Mapping[str, object]) -> Fault:
    parsed: dict[str, object] = {}
    for name, value in values.items():
        if name not in _READERS:
            raise _invalid(name[:64], f"unknown; there are {', '.join(_READERS)} and for")
        parsed[name] = _read(name, _READERS[name], value)
    # Naming a status alone means every request: that is what people type.
    if parsed.keys() & {"status", "retry_after"} and "fail" not in parsed:
        parsed["fail"] = 1.0
    if "retry_after" in parsed and "status" not in parsed:
        parsed["status"] = 429
    return replace(_NONE, **parsed)  # type: ignore[arg-type]  # the readers made the right types


def _read(name: str, reader: _Read, value: object) -> object:
    try:
        return reader(value)
    except ValueError as error:
        # The readers' texts are our own and never quote the value.
        raise _invalid(name, str(error)) from error


def _invalid(name: str, description: str) -> Failure:
    return Failure(
        Reason.INVALID_REQUEST,
        "The chaos request is not valid.",
        fields=(FieldViolation(name, description),),
    )


def _describe(fault: Fault, seconds: float) -> dict[str, object]:
    described: dict[str, object] = {
        each.name: getattr(fault, each.name)
        for each in fields(Fault)
        if getattr(fault, each.name) != getattr(_NONE, each.name)
    }
    if seconds != float("inf"):
        described["for"] = format_duration(round(seconds, 3))
    return described
