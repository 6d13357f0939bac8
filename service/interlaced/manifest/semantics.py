"""What is written right and still makes no sense, once it is known what an operation does."""

from __future__ import annotations

from collections.abc import Iterator

from interlaced.core.model import Effect
from interlaced.core.ports import Operation
from interlaced.core.units import format_duration
from interlaced.manifest.codes import Code
from interlaced.manifest.manifests import Manifest
from interlaced.manifest.policies import EffectivePolicy
from interlaced.manifest.source import Finding
from interlaced.manifest.validation import Keys, find_value

__all__ = ["check_connector", "check_operation"]


def check_connector(manifest: Manifest) -> Iterator[Finding]:
    """Looks at the connector's own policy."""
    yield from _check_times(manifest, manifest.policy, ("policy",))


def check_operation(manifest: Manifest, operation: Operation) -> Iterator[Finding]:
    """Looks at an operation's own policy, if it has one."""
    policy = manifest.policy_of("operations", operation.name)
    if policy is manifest.policy:
        return
    keys = ("operations", operation.name, "policy")
    yield from _check_times(manifest, policy, keys)
    is_repeatable = operation.effect is not Effect.UNSAFE or operation.takes_key
    asks = find_value(manifest.document, (*keys, "retry", "attempts")) is not None
    if asks and not is_repeatable and policy.config.retry.attempts > 1:
        message = f"{operation.name} is unsafe: only attempts that sent nothing are repeated"
        hint = "declare its effect or its idempotency key"
        yield manifest.finding((*keys, "retry", "attempts"), Code.UNSAFE_RETRY, message, hint)


def _check_times(manifest: Manifest, policy: EffectivePolicy, keys: Keys) -> Iterator[Finding]:
    """Looks for limits above the deadline that were set by whoever set the deadline, or closer.

    A default, or a policy that is shared, may well be above the deadline of one operation.
    """
    config = policy.config
    limit = f"the deadline of {format_duration(config.deadline)}"
    if config.attempt_timeout is not None and config.attempt_timeout > config.deadline:
        yield from _told(manifest, policy, keys, ("attempt_timeout",), limit)
    if config.retry.max_wait > config.deadline:
        yield from _told(manifest, policy, keys, ("retry", "max_wait"), limit)


def _told(
    manifest: Manifest, policy: EffectivePolicy, keys: Keys, setting: tuple[str, ...], limit: str
) -> Iterator[Finding]:
    rank = policy.rank(*setting)
    if rank and rank >= policy.rank("deadline"):
        is_wait = setting[0] == "retry"
        code = Code.WAIT_OVER_DEADLINE if is_wait else Code.ATTEMPT_OVER_DEADLINE
        yield manifest.finding((*keys, *setting), code, f"{'.'.join(setting)} is above {limit}")
