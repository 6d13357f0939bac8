"""Every reason is explained, in the words of the protos."""

from __future__ import annotations

import re
from pathlib import Path

from interlaced.cli.reasons import REASONS
from interlaced.core.failure import Reason
from interlaced.rpc.status import CODES

PROTO = Path(__file__).resolve().parents[3] / "protos/interlace/v1/error_reason.proto"


def test_every_reason_is_explained() -> None:
    assert set(REASONS) == set(Reason)
    assert all(told.action.endswith(".") for told in REASONS.values())


def test_the_meaning_and_the_code_are_those_of_the_protos() -> None:
    found = re.findall(r"// ([A-Z_]+): (.*)\.\n +ERROR_REASON_(\w+) = ", PROTO.read_text())
    told = {name: (code, meaning) for code, meaning, name in found}
    known = {
        reason.value: (CODES[reason].name, advice.meaning) for reason, advice in REASONS.items()
    }
    assert known == told
