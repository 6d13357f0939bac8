"""What every broker's competing consumers have in common: names of groups and dead letters."""

from __future__ import annotations

import re
from dataclasses import replace

from interlaced.core.failure import Failure, FieldViolation, Reason
from interlaced.core.model import Event, Settlement

__all__ = [
    "DEAD_ATTEMPTS",
    "DEAD_CAUSE",
    "DEAD_GROUP",
    "UNSETTLED",
    "check_group",
    "dead_letter",
    "never_settled",
]

DEAD_CAUSE = "interlacecause"
"""The attribute of a dead letter that says why it was given up."""
DEAD_ATTEMPTS = "interlaceattempts"
"""The attribute of a dead letter that says how often it was delivered."""
DEAD_GROUP = "interlacegroup"
"""The attribute of a dead letter that says which group gave it up."""

UNSETTLED = "no verdict within the attempts allowed"
"""The cause of a dead letter that no consumer settled."""

_LONGEST_CAUSE = 256
_GROUP = re.compile(r"[A-Za-z0-9_-]{1,64}")


def check_group(group: str) -> None:
    """Raises Failure INVALID_REQUEST if a group has a name that some broker could not keep."""
    if _GROUP.fullmatch(group) is None:
        violation = FieldViolation("open.group", "1 to 64 letters, digits, '-' or '_'")
        raise Failure(Reason.INVALID_REQUEST, "the group has no usable name", fields=(violation,))


def dead_letter(event: Event, cause: str, *, attempts: int, group: str) -> Event:
    """Returns the event as it is kept among the dead letters: with all that it had, and with its
    cause (at most 256 characters), its attempts and its group as attributes."""
    facts = {
        DEAD_CAUSE: cause[:_LONGEST_CAUSE],
        DEAD_ATTEMPTS: str(attempts),
        DEAD_GROUP: group,
    }
    return replace(event, position=b"", attributes={**event.attributes, **facts})


async def never_settled(settlement: Settlement) -> None:
    """Settles nothing, as the deliveries of a broadcast do: it settles nothing for others."""
