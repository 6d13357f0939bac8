"""The suites on the nats kind, against a real server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from nats_rig import CORE, FEED, SINK, NatsCase
from nats_server import NatsServer

from interlaced.testing.sink_suite import SinkSuite
from interlaced.testing.source_suite import SourceSuite

pytestmark = pytest.mark.live


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    store: Path = tmp_path_factory.mktemp("nats")
    with NatsServer(store) as running:
        yield running


class TestNatsFeed(SourceSuite):
    """A stream passes every clause of a source."""

    capability = FEED
    can = frozenset({"expire", "rebuild", "cut", "dead"})

    @pytest.fixture
    def case(self, server: NatsServer) -> NatsCase:
        return NatsCase(server.url)


class TestNatsSink(SinkSuite):
    """A stream passes every clause of a sink."""

    capability = SINK
    can = frozenset({"positions", "dedupe", "limit", "unreach", "freeze"})

    @pytest.fixture
    def case(self, server: NatsServer) -> NatsCase:
        return NatsCase(server.url)


class TestCoreNatsFeed(SourceSuite):
    """Core NATS promises little, and keeps that."""

    capability = CORE
    can = frozenset({"cut"})

    @pytest.fixture
    def case(self, server: NatsServer) -> NatsCase:
        return NatsCase(server.url, core=True)


class TestCoreNatsSink(SinkSuite):
    """Core NATS promises little, and keeps that."""

    capability = CORE
    can = frozenset({"limit", "unreach"})

    @pytest.fixture
    def case(self, server: NatsServer) -> NatsCase:
        return NatsCase(server.url, core=True)
