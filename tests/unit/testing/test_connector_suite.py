"""The connector suite's own parts; its clauses are proved in `tests/broken`."""

from __future__ import annotations

import pytest
from rest_rig import rest_rig

from interlaced.core.failure import DEFAULTS
from interlaced.testing.connector_suite import STATUSES, ConnectorSuite


def test_without_a_rig_there_is_no_suite() -> None:
    with pytest.raises(TypeError):
        ConnectorSuite().rig()


def test_the_status_table_keeps_the_defaults_of_its_reasons() -> None:
    for status, (reason, disposition, _) in STATUSES.items():
        assert DEFAULTS[reason][1] is disposition, status


async def test_a_failure_that_does_not_come_is_an_assertion() -> None:
    async with rest_rig() as rig:
        with pytest.raises(AssertionError, match="answered"):
            await ConnectorSuite().refused(rig)
