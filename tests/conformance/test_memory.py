"""The suites on the memory kind."""

from __future__ import annotations

import pytest
from far_rig import FarCase
from memory_rig import FEED, SINK, MemoryCase

from interlaced.testing.sink_suite import SinkSuite
from interlaced.testing.source_suite import SourceSuite


@pytest.fixture
def case() -> MemoryCase:
    return MemoryCase()


class TestMemoryFeed(SourceSuite):
    """A topic passes every clause of a source."""

    capability = FEED
    can = frozenset({"expire", "rebuild", "dead"})


class TestMemorySink(SinkSuite):
    """A topic passes every clause of a sink."""

    capability = SINK
    can = frozenset({"positions", "dedupe", "limit"})


@pytest.fixture
def far() -> FarCase:
    return FarCase()


class TestFarMemoryFeed(SourceSuite):
    """A topic of the group's broker passes the same clauses from a worker's side."""

    capability = FEED
    can = frozenset({"expire", "rebuild", "dead", "cut"})

    @pytest.fixture
    def case(self, far: FarCase) -> FarCase:
        return far


class TestFarMemorySink(SinkSuite):
    """So does a sink, which can lose its broker, too."""

    capability = SINK
    can = frozenset({"positions", "dedupe", "limit", "unreach", "freeze"})

    @pytest.fixture
    def case(self, far: FarCase) -> FarCase:
        return far
