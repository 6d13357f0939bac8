"""Every code that a manifest's problem can have, with what it means and what to do about it."""

from __future__ import annotations

import enum
from dataclasses import dataclass

__all__ = ["CODES", "Code", "Explanation", "Severity", "explain_code"]


class Severity(enum.StrEnum):
    """Whether a problem keeps the configuration from being loaded."""

    ERROR = "error"
    WARNING = "warning"


class Code(enum.StrEnum):
    """The stable code of a problem; one that is gone is never used for something else."""

    UNREADABLE_FILE = "IL100"
    TOO_LARGE = "IL101"
    BAD_YAML = "IL102"
    DUPLICATE_KEY = "IL103"
    TAG = "IL104"
    ALIAS = "IL105"
    TOO_DEEP = "IL106"
    KEY_NOT_TEXT = "IL107"
    NOT_A_MAPPING = "IL108"
    BAD_VERSION = "IL109"
    UNKNOWN_DOCUMENT = "IL110"
    MISSING_KEY = "IL111"
    UNKNOWN_KEY = "IL112"
    BAD_VALUE = "IL113"
    BAD_NAME = "IL114"
    DUPLICATE_NAME = "IL115"
    UNKNOWN_KIND = "IL116"
    MISSING_LIBRARY = "IL117"
    NO_MANIFEST = "IL118"
    BAD_REFERENCE = "IL120"
    UNRESOLVED_REFERENCE = "IL121"
    UNKNOWN_POLICY = "IL130"
    UNUSED_POLICY = "IL131"
    SHARED_POLICY = "IL132"
    UNSAFE_RETRY = "IL140"
    ATTEMPT_OVER_DEADLINE = "IL141"
    WAIT_OVER_DEADLINE = "IL142"
    UNKNOWN_PARAMETER = "IL143"
    WRITTEN_SECRET = "IL144"  # noqa: S105  # the name of a problem, no secret
    UNBUILDABLE = "IL150"
    UNSHAREABLE = "IL151"


@dataclass(frozen=True, slots=True)
class Explanation:
    """What a code means: a title, how bad it is, and a paragraph that says what to do."""

    title: str
    text: str
    severity: Severity = Severity.ERROR


def _warning(title: str, text: str) -> Explanation:
    return Explanation(title, text, Severity.WARNING)


CODES: dict[Code, Explanation] = {
    Code.UNREADABLE_FILE: Explanation(
        "the file cannot be read",
        "The path does not exist, is no file, or this user may not read it.",
    ),
    Code.TOO_LARGE: Explanation(
        "the file is too large",
        "A manifest holds at most 1 MiB and a document at most 20,000 values. Split it: a "
        "directory may hold any number of manifests.",
    ),
    Code.BAD_YAML: Explanation(
        "this is not YAML 1.2",
        "The usual causes: a tab in the indentation, a text with ': ' or '#' that needs quotes, a "
        "bracket or quote that is not closed. The file must be UTF-8.",
    ),
    Code.DUPLICATE_KEY: Explanation(
        "a key is written twice",
        "One of the two would silently win, so both are refused. Keep one.",
    ),
    Code.TAG: Explanation(
        "tags are refused",
        "A tag such as !!int or !include asks the reader to do something; a manifest only "
        "declares. Write the value itself, or quote it to make it text.",
    ),
    Code.ALIAS: Explanation(
        "an alias is refused",
        "An alias (*name) must refer to an anchor (&name) of the same document that is complete, "
        "and a document may have at most 64 of them. To share a policy, name it in policies.yaml.",
    ),
    Code.TOO_DEEP: Explanation(
        "the nesting is too deep",
        "Values may be nested at most 32 levels deep.",
    ),
    Code.KEY_NOT_TEXT: Explanation(
        "a key is not text",
        "Keys are text. Put quotes around keys that YAML reads as something else, such as "
        "'true', '1.5' or 'null'. Whole numbers are taken as their digits.",
    ),
    Code.NOT_A_MAPPING: Explanation(
        "a document is not a mapping",
        "Each document is a mapping of keys to values that begins with `interlace: 1`.",
    ),
    Code.BAD_VERSION: Explanation(
        "the version is missing or unknown",
        "Each document begins with `interlace: 1`, which says how it is to be read.",
    ),
    Code.UNKNOWN_DOCUMENT: Explanation(
        "a document is neither a connector nor policies",
        "A document has either the key `connector` (one external system) or the key `policies` "
        "(named policies), not both.",
    ),
    Code.MISSING_KEY: Explanation("a key is missing", "The key has no default. Add it."),
    Code.UNKNOWN_KEY: Explanation(
        "a key is unknown",
        "Nothing reads this key, so what it asks for would silently not happen. The proposal "
        "names the nearest key that exists; `interlace schema` prints all of them.",
    ),
    Code.BAD_VALUE: Explanation(
        "a value does not fit",
        "The value is of the wrong type, out of range, or written in a form that is not read here. "
        "Durations are written 250ms, 2s or 5m, rates 50/s, sizes 4MiB, shares 10%.",
    ),
    Code.BAD_NAME: Explanation(
        "a name does not fit",
        "Names of connectors, operations, feeds, sinks and policies begin with a letter and have "
        "at most 63 letters, digits, - and _.",
    ),
    Code.DUPLICATE_NAME: Explanation(
        "a name is used twice",
        "Names of connectors, and names of policies, are unique over all files.",
    ),
    Code.UNKNOWN_KIND: Explanation(
        "the kind of connector is not known",
        "`upstream` holds the address under the name of the kind, such as "
        "`upstream: {rest: https://api.example.com}`; exactly one.",
    ),
    Code.MISSING_LIBRARY: Explanation(
        "the kind's library is not installed",
        "Each kind's libraries are an extra of the package: pip install 'interlaced[nats]'.",
    ),
    Code.NO_MANIFEST: _warning(
        "there is no manifest",
        "The directory holds no *.yaml or *.yml file (*.test.yaml does not count).",
    ),
    Code.BAD_REFERENCE: Explanation(
        "a reference cannot be understood",
        "References are written ${env:NAME}, ${env:NAME:-default}, ${file:/path} and "
        "${secret:path#key}; the provider is always named. Write $${ for a literal ${.",
    ),
    Code.UNRESOLVED_REFERENCE: Explanation(
        "a reference leads nowhere",
        "The environment variable is not set, or the file or secret cannot be read. "
        "${env:NAME:-default} gives a default; INTERLACE_SECRETS names the directory of secrets.",
    ),
    Code.UNKNOWN_POLICY: Explanation(
        "a policy has no such name",
        "`policy: NAME` needs a policy of that name in a `policies` document of any file.",
    ),
    Code.UNUSED_POLICY: _warning(
        "a policy is not used",
        "No connector and no operation names it. Remove it, or use it.",
    ),
    Code.SHARED_POLICY: Explanation(
        "a part of the policy belongs to the connector",
        "limit, breaker and bulkhead are shared by all operations of a connector, so an operation "
        "cannot have its own; it may override deadline, attempt_timeout and retry.",
    ),
    Code.UNSAFE_RETRY: _warning(
        "a retry is asked for an unsafe operation",
        "An attempt that may have reached the upstream is never repeated unless the operation is "
        "safe, idempotent, or forwards an idempotency key. Declare the effect or the key's header, "
        "or leave the retry out.",
    ),
    Code.ATTEMPT_OVER_DEADLINE: _warning(
        "an attempt may take longer than the whole call",
        "attempt_timeout is not below the deadline, so it never takes effect and a slow first "
        "attempt leaves no time for a second.",
    ),
    Code.WAIT_OVER_DEADLINE: _warning(
        "a wait may take longer than the whole call",
        "retry.max_wait is above the deadline, so it never takes effect.",
    ),
    Code.UNKNOWN_PARAMETER: Explanation(
        "a parameter is not declared",
        "The operation declares its parameters, and this one is not among them.",
    ),
    Code.WRITTEN_SECRET: _warning(
        "a secret is written out",
        "Whoever reads the file reads the secret. Write ${env:NAME}, ${file:/path} or "
        "${secret:path#key}.",
    ),
    Code.UNBUILDABLE: Explanation(
        "the connector cannot be built",
        "Its parts are right one by one, but do not go together; the message says why.",
    ),
    Code.UNSHAREABLE: Explanation(
        "a limit is smaller than the group of workers",
        "With `serve --workers N` each worker holds its share of bulkhead.in_flight and "
        "limit.burst, so that together they never exceed what is written; a worker whose share is "
        "nothing could not call the upstream at all. Raise the limit to N, or start fewer workers.",
    ),
}
"""The table behind `interlace help CODE`."""


def explain_code(text: str) -> str | None:
    """Returns what `interlace help IL112` prints, or None if there is no such code."""
    code = next((code for code in Code if code.value == text.upper()), None)
    if code is None:
        return None
    about = CODES[code]
    return f"{code}  {about.title} ({about.severity})\n\n{about.text}"
