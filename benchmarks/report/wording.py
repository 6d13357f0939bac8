"""Words for people: what the page calls the sides, the scenarios, their variants and budgets."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from benchmarks.budgets import Budget
from benchmarks.harness.results import Case, VariantValue

__all__ = [
    "DASH",
    "budget_name",
    "case_name",
    "commit_text",
    "in_order",
    "listed",
    "peer_name",
    "plain",
    "scenario_name",
    "side_name",
    "variant_text",
]

DASH = "–"  # noqa: RUF001  # what stands where nothing was measured
_SIDES = {
    "interlace": "Interlace",
    "policies_off": "policies off",
    "one_worker": "one worker",
    "imports_only": "imports only",
    "direct": "straight to the upstream",
}
_PEERS = {
    "interlace": "Interlace",
    "baseline": "the baseline",
    "policies_off": "Interlace with all policies off",
    "one_worker": "Interlace with one worker",
    "imports_only": "a process that only imports",
}
_SCENARIOS = {
    "call": "Call",
    "fanout": "FanOut",
    "slow_branch": "FanOut",
    "fanout_slow": "FanOut",
    "session": "Session beside unary calls",
    "session_beside_stream": "Session beside a stream of the baseline",
    "subscribe": "Subscribe",
    "subscribe_odd": "Subscribe",
    "idle_subscriber": "Memory of an idle subscriber",
    "nats": "NATS with JetStream",
    "policies": "FanOut of 8",
    "payload": "",
    "tls": "Call",
    "workers": "Call",
    "boot": "Boot",
    "sweep": "Call",
    "overload": "Call",
    "added_latency": "One call at a time",
    "raw_unary": "Call",
    "recovery": "Recovery",
    "transcode": "Transcoding",
    "hot_path": "The whole way",
}
_BUDGETS = {
    "call": "Call",
    "fanout_8": "FanOut of 8",
    "fanout_32": "FanOut of 32",
    "session_256": "Session, 256 in flight",
    "session_64": "Session, 64 in flight",
    "subscribe_100": "Subscribe, 100 subscribers",
    "idle_subscriber": "Idle subscriber, memory",
    "json_to_protobuf_plain": "JSON to protobuf, plain",
    "protobuf_to_json_plain": "Protobuf to JSON, plain",
    "json_to_protobuf_converting": "JSON to protobuf, converting",
    "protobuf_to_json_converting": "Protobuf to JSON, converting",
    "policies": "All policies on",
    "boot": "Boot",
    "workers": "2 workers",
}
_FORMATS = {"json": "JSON", "msgpack": "MessagePack", "protobuf": "protobuf"}


def side_name(side: str) -> str:
    """Return how the page calls a side; a library keeps its name."""
    return _SIDES.get(side, side)


def peer_name(side: str) -> str:
    """Return what a side is, as the object of a sentence."""
    return _PEERS.get(side, side)


def scenario_name(scenario: str) -> str:
    """Return how the page calls a scenario."""
    return _SCENARIOS.get(scenario, plain(scenario))


def budget_name(budget: Budget) -> str:
    """Return the name of a budget, short enough for a plot."""
    return _BUDGETS.get(budget.name, plain(budget.name))


def commit_text(machine: Mapping[str, object]) -> str:
    """Return the commit of a run; `+` behind it stands for changes that were not committed."""
    commit = str(machine.get("commit", "unknown"))
    return f"{commit[:-1]} plus uncommitted changes" if commit.endswith("+") else commit


def plain(name: str) -> str:
    """Return an identifier as words."""
    return name.replace("_", " ")


def listed(parts: Sequence[str], *, between: str = ", ") -> str:
    """Return parts as a list in words; nothing for none."""
    if not parts:
        return ""
    *most, last = parts
    return f"{between.join(most)} and {last}" if most else last


def case_name(case: Case) -> str:
    """Return what a case is, in full: `FanOut, 8 branches`."""
    return ", ".join(one for one in (scenario_name(case.scenario), _variant(case)) if one)


def variant_text(case: Case, *, without: Sequence[str] = ()) -> str:
    """Return the variant of a case in words; that of a case without one is its scenario."""
    return _variant(case, without) or scenario_name(case.scenario)


def _variant(case: Case, without: Sequence[str] = ()) -> str:
    kept = {key: value for key, value in case.variant.items() if key not in without}
    told = (_setting(case, key, value) for key, value in kept.items())
    return ", ".join(one for one in told if one)


def _setting(case: Case, key: str, value: VariantValue) -> str:
    if case.scenario == "overload" and key in ("share", "percent"):
        return f"{value} % of its own ceiling"
    known = _SETTINGS.get(key)
    return known(value) if known else f"{plain(key)} {_shown(value)}"


def _shown(value: VariantValue) -> str:
    return plain(value) if isinstance(value, str) else f"{value:,}"


def _format(value: VariantValue) -> str:
    """`json_to_msgpack` in words, `json_through_msgpack` as well."""
    parts = str(value).split("_")
    return " ".join(_FORMATS.get(part, part) for part in parts)


def _counted(one: str, many: str) -> Callable[[VariantValue], str]:
    return lambda value: f"1 {one}" if value == 1 else f"{_shown(value)} {many}"


def _batch(value: VariantValue) -> str:
    return "published one at a time" if value == 1 else f"published {_shown(value)} at a time"


def _stalled(value: VariantValue) -> str:
    return f"{_shown(value)} of them reads nothing" if value else ""


def _policy(value: VariantValue) -> str:
    return "all policies on" if value == "all" else f"{_shown(value)} on"


def _way(value: VariantValue) -> str:
    known = {"both": "request and answer", "answer": "answer alone"}
    return known.get(str(value), plain(f"way {value}"))


_SETTINGS: Mapping[str, Callable[[VariantValue], str]] = {
    "upstreams": _counted("upstream", "upstreams"),
    "width": _counted("branch", "branches"),
    "in_flight": lambda value: f"{_shown(value)} in flight",
    "subscribers": _counted("subscriber", "subscribers"),
    "workers": _counted("worker", "workers"),
    "connectors": _counted("connector", "connectors"),
    "batch": _batch,
    "stalled": _stalled,
    "window": lambda value: f"at most {_shown(value)} under way",
    "on": _policy,
    "slow_ms": lambda value: f"one of them {_shown(value)} ms slower",
    "share": lambda value: f"{_shown(value)} % of the higher ceiling",
    "rate": lambda value: f"{_shown(value)}/s offered",
    "kind": _format,
    "format": _format,
    "direction": _format,
    "kb": lambda value: f"{_shown(value)} kB",
    "way": _way,
    "tls": lambda value: "TLS on" if value in ("on", 1) else "TLS off",
    "tool": lambda value: f"driven by {_shown(value)}",
    "ceiling": _shown,
    "shape": _shown,
    "fields": lambda value: f"{_shown(value)} fields",
    "outage_s": lambda value: f"gone for {_shown(value)} s",
    "oracle": lambda value: f"beside {value}",
}


def in_order(cases: Sequence[Case]) -> list[Case]:
    """Return the cases with numbers ascending; words keep the order in which they came, `all`
    behind what it sums up."""
    ranks: dict[tuple[str, str], float] = {}
    for case in cases:
        for key, value in case.variant.items():
            if isinstance(value, str):
                ranks.setdefault((key, value), len(ranks) if value != "all" else float("inf"))

    def place(case: Case) -> list[tuple[str, float]]:
        return [
            (key, ranks[key, value] if isinstance(value, str) else float(value))
            for key, value in case.variant.items()
        ]

    return sorted(cases, key=place)
