from __future__ import annotations

from pathlib import Path

import pytest

from interlaced.core.seat import Seat


def test_a_process_is_alone_unless_it_is_told_otherwise() -> None:
    assert Seat().is_alone
    assert not Seat(1, 2, Path("group")).is_alone


@pytest.mark.parametrize(("index", "count"), [(-1, 1), (1, 1), (2, 2), (0, 0)])
def test_a_seat_beyond_the_group_is_refused(index: int, count: int) -> None:
    with pytest.raises(ValueError, match="no seat"):
        Seat(index, count)
