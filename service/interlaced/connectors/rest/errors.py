"""What an answer's status means, and the rules of an operation that know better: one table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from interlaced.codecs import json
from interlaced.codecs.codec import CodecError
from interlaced.connectors.rest.config import ErrorRule
from interlaced.core.failure import Disposition, Failure, Reached, Reason
from interlaced.core.path import Path, compile_path
from interlaced.core.retry_after import retry_after_seconds
from interlaced.transport.http import HttpResponse

__all__ = ["Judge", "compile_rules", "failure_of"]

# API.md section 6. MAYBE: the answer may come from someone on the way, or the upstream may still
# be at it.
_TABLE: Mapping[int, tuple[Reason, Reached]] = {
    400: (Reason.UPSTREAM_REJECTED, Reached.REPLIED),
    401: (Reason.UPSTREAM_CREDENTIALS_REJECTED, Reached.REPLIED),
    403: (Reason.UPSTREAM_CREDENTIALS_REJECTED, Reached.REPLIED),
    404: (Reason.UPSTREAM_NOT_FOUND, Reached.REPLIED),
    405: (Reason.CONTRACT_DRIFT, Reached.REPLIED),
    406: (Reason.CONTRACT_DRIFT, Reached.REPLIED),
    408: (Reason.UPSTREAM_UNAVAILABLE, Reached.MAYBE),
    409: (Reason.UPSTREAM_CONFLICT, Reached.REPLIED),
    410: (Reason.UPSTREAM_NOT_FOUND, Reached.REPLIED),
    412: (Reason.UPSTREAM_PRECONDITION, Reached.REPLIED),
    413: (Reason.UPSTREAM_REJECTED, Reached.REPLIED),
    415: (Reason.CONTRACT_DRIFT, Reached.REPLIED),
    422: (Reason.UPSTREAM_REJECTED, Reached.REPLIED),
    425: (Reason.UPSTREAM_UNAVAILABLE, Reached.REPLIED),
    428: (Reason.UPSTREAM_PRECONDITION, Reached.REPLIED),
    429: (Reason.UPSTREAM_RATE_LIMITED, Reached.REPLIED),
    500: (Reason.UPSTREAM_FAILED, Reached.REPLIED),
    501: (Reason.UPSTREAM_UNSUPPORTED, Reached.REPLIED),
    502: (Reason.UPSTREAM_UNAVAILABLE, Reached.MAYBE),
    503: (Reason.UPSTREAM_UNAVAILABLE, Reached.MAYBE),
    504: (Reason.UPSTREAM_UNAVAILABLE, Reached.MAYBE),
}
# Whatever else begins with this digit. A redirect is not followed, and may come after the deed.
_REST: Mapping[int, tuple[Reason, Reached]] = {
    3: (Reason.UPSTREAM_MALFORMED, Reached.MAYBE),
    4: (Reason.UPSTREAM_REJECTED, Reached.REPLIED),
    5: (Reason.UPSTREAM_FAILED, Reached.REPLIED),
}
_UNKNOWN = (Reason.UPSTREAM_MALFORMED, Reached.MAYBE)

_WORDS: Mapping[Reason, str] = {
    Reason.UPSTREAM_REJECTED: "The upstream rejected the request.",
    Reason.UPSTREAM_CREDENTIALS_REJECTED: "The upstream rejected the connector's credentials.",
    Reason.UPSTREAM_NOT_FOUND: "The upstream does not have what was asked for.",
    Reason.CONTRACT_DRIFT: "The upstream no longer takes requests of this shape.",
    Reason.UPSTREAM_UNAVAILABLE: "The upstream is not available.",
    Reason.UPSTREAM_CONFLICT: "The upstream says that the request conflicts with its state.",
    Reason.UPSTREAM_PRECONDITION: "The upstream says that a precondition is not met.",
    Reason.UPSTREAM_RATE_LIMITED: "The upstream limits the rate of requests.",
    Reason.UPSTREAM_FAILED: "The upstream failed.",
    Reason.UPSTREAM_UNSUPPORTED: "The upstream does not support this.",
    Reason.UPSTREAM_MALFORMED: "The upstream's answer has a status that has no meaning here.",
}
_FALLBACK = "The upstream's answer means a failure."

Judge = Callable[[HttpResponse, float], Failure | None]
"""Takes an answer and the time of day (seconds since 1970); returns its failure, or None."""


def failure_of(response: HttpResponse, wall: float) -> Failure | None:
    """Returns what a status means without any rule: None for 2xx."""
    status = response.status
    if 200 <= status < 300:
        return None
    reason, reached = _TABLE.get(status) or _REST.get(status // 100, _UNKNOWN)
    return _failure(reason, response, wall, reached=reached)


def _failure(
    reason: Reason,
    response: HttpResponse,
    wall: float,
    *,
    reached: Reached,
    disposition: Disposition | None = None,
) -> Failure:
    waits = reason in (Reason.UPSTREAM_RATE_LIMITED, Reason.UPSTREAM_UNAVAILABLE)
    return Failure(
        reason,
        _WORDS.get(reason, _FALLBACK),
        disposition=disposition,
        reached=reached,
        retry_after=retry_after_seconds(response.headers, wall) if waits else None,
        upstream_status=str(response.status),
    )


@dataclass(frozen=True, slots=True)
class _Rule:
    """One compiled rule."""

    rule: ErrorRule
    when: tuple[tuple[Path, object], ...]

    def applies(self, body: object) -> bool:
        """Whether the body has every value that the rule asks for; 1 is not true."""
        for path, wanted in self.when:
            found = path.extract(body)
            if found != wanted or isinstance(found, bool) is not isinstance(wanted, bool):
                return False
        return True

    def failure(self, response: HttpResponse, wall: float) -> Failure:
        """Returns what the rule says. How far the request got is still the status's to say, but a
        2xx that a rule calls a failure is an answer like any other."""
        usual = _TABLE.get(response.status) or _REST.get(response.status // 100)
        return _failure(
            self.rule.reason,
            response,
            wall,
            reached=usual[1] if usual else Reached.REPLIED,
            disposition=self.rule.disposition,
        )


def compile_rules(errors: Mapping[int, ErrorRule | list[ErrorRule]]) -> Judge:
    """Returns the judge of an operation: its rules first, then the table. ValueError for a path
    that is none."""
    table = {
        status: tuple(_compile(rule) for rule in (rules if isinstance(rules, list) else [rules]))
        for status, rules in errors.items()
    }
    if not table:
        return failure_of

    def judge(response: HttpResponse, wall: float) -> Failure | None:
        rules = table.get(response.status, ())
        value = _value(response.body) if any(rule.when for rule in rules) else None
        for rule in rules:
            if rule.applies(value):
                return rule.failure(response, wall)
        return failure_of(response, wall)

    return judge


def _compile(rule: ErrorRule) -> _Rule:
    return _Rule(rule, tuple((compile_path(text), value) for text, value in rule.when.items()))


def _value(body: bytes) -> object:
    """Returns the body's value, or None where it is no JSON: then no rule with `when` applies."""
    try:
        return json.decode(body)
    except CodecError:
        return None
