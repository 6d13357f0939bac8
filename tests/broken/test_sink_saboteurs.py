"""Every clause of the sink suite has a twin that breaks it, and is caught."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from memory_rig import SINK, MemoryCase, MemoryRig

from interlaced.core.failure import Failure, Reached, Reason
from interlaced.core.model import Confirmation, Publication
from interlaced.core.ports import Durability, Sink
from interlaced.testing.sink_suite import SinkSuite


class HonestSink:
    """Passes everything on; a saboteur breaks one thing. It plays the network that memory lacks."""

    def __init__(self, inner: Sink, rig: MemoryRig) -> None:
        self.inner = inner
        self.rig = rig
        self.name = inner.name
        self.description = inner.description
        self.capability = inner.capability
        self.is_reachable = True
        self.is_frozen = False

    async def publish(self, publication: Publication) -> Sequence[Confirmation]:
        if not self.is_reachable:
            return await self.unreached(publication)
        if self.is_frozen:
            publication.effort.reached = Reached.MAYBE
            return await self.frozen(publication)
        return await self.inner.publish(publication)

    async def unreached(self, publication: Publication) -> Sequence[Confirmation]:
        raise Failure(Reason.UPSTREAM_CONNECT, "the broker is away")

    async def frozen(self, publication: Publication) -> Sequence[Confirmation]:
        clock = self.rig.clock
        await clock.sleep(publication.deadline - clock.now())
        message = "the confirmation did not come"
        lost = Failure(Reason.OUTCOME_UNKNOWN, message, reached=Reached.MAYBE)
        return [Confirmation(lost) for _ in publication.events]


class Boasts(HonestSink):
    def __init__(self, inner: Sink, rig: MemoryRig) -> None:
        super().__init__(inner, rig)
        self.capability = replace(inner.capability, durability=Durability.FSYNC)


class ForgetsToSayWhere(HonestSink):
    async def publish(self, publication: Publication) -> Sequence[Confirmation]:
        results = await super().publish(publication)
        publication.effort.reached = Reached.NOT_SENT
        return results


class ConfirmsNothing(HonestSink):
    async def publish(self, publication: Publication) -> Sequence[Confirmation]:
        return await super().publish(publication) or [Confirmation()]


class Reverses(HonestSink):
    """Stores one after the other, from the last."""

    async def publish(self, publication: Publication) -> Sequence[Confirmation]:
        events = publication.events
        if len(events) != 12:
            return await super().publish(publication)
        results = await super().publish(replace(publication, events=events[::-1]))
        return results[::-1]


class Mangles(HonestSink):
    async def publish(self, publication: Publication) -> Sequence[Confirmation]:
        events = [replace(one, key=one.key.strip()) for one in publication.events]
        changed = replace(publication, events=events)
        return await super().publish(changed)


class Misplaces(HonestSink):
    async def publish(self, publication: Publication) -> Sequence[Confirmation]:
        return [replace(one, position=b"") for one in await super().publish(publication)]


class StoresTwice(HonestSink):
    async def publish(self, publication: Publication) -> Sequence[Confirmation]:
        return [replace(one, is_duplicate=False) for one in await super().publish(publication)]


class LooksAtIdsAlone(HonestSink):
    async def publish(self, publication: Publication) -> Sequence[Confirmation]:
        events = [
            replace(one, source="/suite") if one.source == "/other" else one
            for one in publication.events
        ]
        return await super().publish(replace(publication, events=events))


class FailsTogether(HonestSink):
    async def publish(self, publication: Publication) -> Sequence[Confirmation]:
        large = [one for one in publication.events if len(one.data) >= self.rig.limit]
        if large:
            limit = str(self.rig.limit)
            raise Failure(Reason.TOO_LARGE, "one of the events is too large", limit=limit)
        return await super().publish(publication)


class HopesForTheBest(HonestSink):
    async def unreached(self, publication: Publication) -> Sequence[Confirmation]:
        return [Confirmation() for _ in publication.events]


class TakesItsTime(HonestSink):
    async def frozen(self, publication: Publication) -> Sequence[Confirmation]:
        results = await super().frozen(publication)
        await self.rig.clock.sleep(60)
        return results


class StaysOpen(HonestSink):
    async def publish(self, publication: Publication) -> Sequence[Confirmation]:
        try:
            return await super().publish(publication)
        except Failure as failure:
            if failure.reason is not Reason.DRAINING:
                raise
            return [Confirmation() for _ in publication.events]


SABOTEURS: dict[str, type[HonestSink]] = {
    "it_declares_what_the_suite_was_told": Boasts,
    "each_event_has_its_confirmation": ForgetsToSayWhere,
    "publishing_nothing_confirms_nothing": ConfirmsNothing,
    "what_is_confirmed_is_there_whole_and_in_order": Reverses,
    "awkward_texts_survive": Mangles,
    "positions_are_those_of_the_broker": Misplaces,
    "an_event_published_again_is_a_duplicate": StoresTwice,
    "the_same_id_from_another_source_is_another_event": LooksAtIdsAlone,
    "an_event_that_is_too_large_fails_alone": FailsTogether,
    "an_unreachable_broker_is_never_a_success": HopesForTheBest,
    "a_confirmation_that_stays_out_is_unknown_and_in_time": TakesItsTime,
    "a_closed_connector_takes_nothing": StaysOpen,
}
CLAUSES = sorted(name[5:] for name in dir(SinkSuite) if name.startswith("test_"))


class Whole(SinkSuite):
    """Every clause."""

    capability = SINK
    can = frozenset({"positions", "dedupe", "limit", "unreach", "freeze"})


def _breaks(clause: str, saboteur: type[HonestSink]) -> bool:
    """Whether a clause catches a saboteur."""

    def put(rig: MemoryRig) -> None:
        sink = saboteur(rig.sink, rig)

        async def unreach() -> None:
            sink.is_reachable = False

        async def freeze() -> None:
            sink.is_frozen = True

        async def thaw() -> None:
            sink.is_frozen = False

        rig.sink = sink
        for name, play in (("unreach", unreach), ("freeze", freeze), ("thaw", thaw)):
            setattr(rig, name, play)

    try:
        getattr(Whole(), f"test_{clause}")(MemoryCase(put))
    except (AssertionError, TimeoutError, RuntimeError, Failure):
        return True
    return False


def test_every_clause_has_its_saboteur() -> None:
    assert sorted(SABOTEURS) == CLAUSES


@pytest.mark.parametrize("clause", CLAUSES)
def test_the_saboteur_of_a_clause_is_caught_by_it_and_nothing_else(clause: str) -> None:
    assert {one for one in CLAUSES if _breaks(one, SABOTEURS[clause])} == {clause}


@pytest.mark.parametrize("clause", CLAUSES)
def test_an_honest_sink_passes(clause: str) -> None:
    assert not _breaks(clause, HonestSink)
