"""Every clause of the policy suite has a twin that breaks it, and only it, and is caught."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from random import Random
from typing import Any

import pytest

from interlaced.core.failure import Disposition, Failure, Reached, Reason
from interlaced.core.model import Call, Effect, Handler, Reply
from interlaced.core.ports import Operation, Tools
from interlaced.resilience.admission import Admission
from interlaced.resilience.config import PolicyConfig
from interlaced.resilience.stack import ConnectorGuard, compose
from interlaced.testing.policy_suite import PolicySuite

CLAUSES = sorted(name for name in dir(PolicySuite) if name.startswith("test_"))


class Honest:
    """The stack itself; a saboteur breaks one thing."""

    def __call__(
        self, operation: Operation, *, policy: Mapping[str, Any], tools: Tools, permits: int
    ) -> Handler[Call, Reply]:
        self.tools = self.choose(tools)
        self.config = PolicyConfig().overlaid(self.tamper(dict(policy)))
        self.guard = ConnectorGuard("bench", self.config, self.tools)
        self.admission = Admission(permits)
        attempt = operation.attempt

        async def ask(call: Call) -> Reply:
            return await self.upstream(attempt, call)

        handler = compose(
            replace(operation, attempt=ask, effect=self.effect(operation.effect, policy)),
            policy=self.config,
            guard=self.guard,
            admission=self.admission,
            tools=self.tools,
            connector="bench",
        )

        async def run(call: Call) -> Reply:
            return await self.run(handler, call)

        return run

    def choose(self, tools: Tools) -> Tools:
        return tools

    def tamper(self, policy: dict[str, Any]) -> dict[str, Any]:
        return policy

    def effect(self, effect: Effect, policy: Mapping[str, Any]) -> Effect:
        return effect

    async def upstream(self, attempt: Handler[Call, Reply], call: Call) -> Reply:
        return await attempt(call)

    async def run(self, handler: Handler[Call, Reply], call: Call) -> Reply:
        try:
            return self.reply(await handler(call))
        except Failure as failure:
            raise self.failure(failure) from failure

    def reply(self, reply: Reply) -> Reply:
        return reply

    def failure(self, failure: Failure) -> Failure:
        return failure


class TouchesReplies(Honest):
    def reply(self, reply: Reply) -> Reply:
        return replace(reply, status="201")


class Rewords(Honest):
    def failure(self, failure: Failure) -> Failure:
        is_no = failure.reason is Reason.UPSTREAM_NOT_FOUND
        return failure.but(disposition=Disposition.PERSISTENT) if is_no else failure


class MovesDeadlines(Honest):
    """Gives calls whose time is short, within bounds, a minute."""

    least, most = 0.1, 0.5

    async def run(self, handler: Handler[Call, Reply], call: Call) -> Reply:
        now = self.tools.clock.now()
        if self.least <= call.deadline - now <= self.most:
            call.deadline = now + 60.0
        return await handler(call)


class ServesTheDead(MovesDeadlines):
    least, most = -1.0, 0.0


class Forgets(Honest):
    """Does not hear of one key of the policy."""

    key = "deadline"

    def tamper(self, policy: dict[str, Any]) -> dict[str, Any]:
        return {key: value for key, value in policy.items() if key != self.key}


class NeverCutsAttempts(Honest):
    def tamper(self, policy: dict[str, Any]) -> dict[str, Any]:
        return policy | {"attempt_timeout": None}


class NeverRetries(Honest):
    def tamper(self, policy: dict[str, Any]) -> dict[str, Any]:
        return {"retry": {"attempts": 1}, **policy}


class RetriesOnceMore(Honest):
    def tamper(self, policy: dict[str, Any]) -> dict[str, Any]:
        is_meant = policy.get("retry") == {"attempts": 4}
        return policy | {"retry": {"attempts": 5}} if is_meant else policy


class InvitesRetries(Honest):
    def failure(self, failure: Failure) -> Failure:
        is_spent = failure.reason is Reason.UPSTREAM_UNAVAILABLE
        return failure.but(disposition=Disposition.TEMPORARY) if is_spent else failure


class SendsWritesAgain(Honest):
    def effect(self, effect: Effect, policy: Mapping[str, Any]) -> Effect:
        return effect if "retry" in policy else Effect.SAFE


class PretendsToKnow(Honest):
    def failure(self, failure: Failure) -> Failure:
        if failure.reason is not Reason.OUTCOME_UNKNOWN:
            return failure
        return Failure(Reason.UPSTREAM_UNAVAILABLE, "gone", reached=Reached.MAYBE)


class HasNoBudget(Honest):
    def tamper(self, policy: dict[str, Any]) -> dict[str, Any]:
        return {"retry": {"budget": "100%"}, **policy}


class HidesTheWait(Honest):
    def failure(self, failure: Failure) -> Failure:
        if failure.retry_after != 3600.0:
            return failure
        return Failure(failure.reason, failure.message, disposition=failure.disposition)


class TellsNobody(Honest):
    """Keeps what the upstream asked for from the other callers."""

    async def upstream(self, attempt: Handler[Call, Reply], call: Call) -> Reply:
        try:
            return await attempt(call)
        except Failure as failure:
            if failure.retry_after != 5.0:
                raise
            raise Failure(failure.reason, failure.message, reached=failure.reached) from None


class OpensWithoutATime(Honest):
    def failure(self, failure: Failure) -> Failure:
        if failure.reason is not Reason.BREAKER_OPEN:
            return failure
        return Failure(failure.reason, failure.message)


class BreaksAtFourHundreds(Honest):
    count = 0

    async def upstream(self, attempt: Handler[Call, Reply], call: Call) -> Reply:
        try:
            return await attempt(call)
        except Failure as failure:
            self.count += failure.reason is Reason.UPSTREAM_NOT_FOUND
            if self.count > 5:
                raise Failure(Reason.BREAKER_OPEN, "too many answers") from failure
            raise


class ProbesWithEverybody(Honest):
    def tamper(self, policy: dict[str, Any]) -> dict[str, Any]:
        return policy | {"breaker": {"probes": 100}} if "breaker" not in policy else policy


class LosesProbes(Honest):
    async def run(self, handler: Handler[Call, Reply], call: Call) -> Reply:
        try:
            return await handler(call)
        except asyncio.CancelledError:
            if self.guard.breaker is not None:
                self.guard.breaker._probing += 1
            raise


class MakesRoom(Honest):
    def tamper(self, policy: dict[str, Any]) -> dict[str, Any]:
        is_meant = policy.get("bulkhead") == {"in_flight": 3, "queue": 4}
        return policy | {"bulkhead": {"in_flight": 4, "queue": 3}} if is_meant else policy


class ActsFirst(Honest):
    """Sheds after the upstream has seen the call."""

    async def run(self, handler: Handler[Call, Reply], call: Call) -> Reply:
        try:
            return await handler(call)
        except Failure as failure:
            if failure.reason is Reason.OVERLOADED and self.guard.bulkhead.permits.limit > 3:
                await self.bare(call)
            raise

    def __call__(self, operation: Operation, **rest: Any) -> Handler[Call, Reply]:
        self.bare = operation.attempt
        return super().__call__(operation, **rest)


class LeaksPermits(Honest):
    async def run(self, handler: Handler[Call, Reply], call: Call) -> Reply:
        try:
            return await handler(call)
        except asyncio.CancelledError:
            self.admission.permits.try_take()
            raise


class HurriesUp(Honest):
    def tamper(self, policy: dict[str, Any]) -> dict[str, Any]:
        if "limit" not in policy:
            return policy
        return policy | {"limit": {"rate": "10/s", "burst": 3}}


class BringsItsOwnChance(Honest):
    def choose(self, tools: Tools) -> Tools:
        return replace(tools, random=Random())


TWINS: dict[str, type[Honest]] = {
    "test_a_reply_passes_untouched": TouchesReplies,
    "test_a_definite_no_is_asked_once_and_passed_on": Rewords,
    "test_the_deadline_is_kept": MovesDeadlines,
    "test_the_policys_deadline_is_kept": Forgets,
    "test_a_spent_deadline_touches_nothing": ServesTheDead,
    "test_an_attempt_is_cut_at_its_timeout": NeverCutsAttempts,
    "test_a_temporary_failure_is_tried_again": NeverRetries,
    "test_attempts_are_bounded": RetriesOnceMore,
    "test_spent_retries_say_so": InvitesRetries,
    "test_a_write_is_not_sent_twice": SendsWritesAgain,
    "test_an_unknown_outcome_is_told": PretendsToKnow,
    "test_retries_keep_their_budget": HasNoBudget,
    "test_a_wait_that_does_not_fit_fails_at_once": HidesTheWait,
    "test_a_wait_that_is_asked_for_holds_every_caller": TellsNobody,
    "test_a_broken_upstream_is_left_alone": OpensWithoutATime,
    "test_answers_of_4xx_break_nothing": BreaksAtFourHundreds,
    "test_one_probe_finds_out_whether_it_is_well": ProbesWithEverybody,
    "test_a_cancelled_probe_frees_its_place": LosesProbes,
    "test_no_more_attempts_than_allowed_are_under_way": MakesRoom,
    "test_overload_is_refused_before_side_effects": ActsFirst,
    "test_waves_and_cancels_leak_no_permits": LeaksPermits,
    "test_the_rate_is_kept": HurriesUp,
    "test_the_same_seed_gives_the_same_decisions": BringsItsOwnChance,
}


def test_every_clause_has_a_twin() -> None:
    assert TWINS.keys() == set(CLAUSES)


def test_the_suite_passes_where_nothing_is_broken() -> None:
    assert len(CLAUSES) >= 20
    for clause in CLAUSES:
        getattr(PolicySuite(), clause)(Honest())


@pytest.mark.parametrize("clause", TWINS)
def test_the_twin_fails_its_clause_and_no_other(clause: str) -> None:
    failed = []
    for name in CLAUSES:
        try:
            getattr(PolicySuite(), name)(TWINS[clause]())
        except (AssertionError, Failure):
            failed.append(name)
    assert failed == [clause]
