"""The policy suite on the stack of the house."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from flying import flying, quick

from interlaced.core.model import Call, Handler, Reply
from interlaced.core.ports import Operation, Tools
from interlaced.resilience.admission import Admission
from interlaced.resilience.config import PolicyConfig
from interlaced.resilience.stack import ConnectorGuard, compose
from interlaced.testing.policy_suite import ComposeStack, PolicySuite


def compose_stack(
    operation: Operation, *, policy: Mapping[str, Any], tools: Tools, permits: int
) -> Handler[Call, Reply]:
    config = PolicyConfig().overlaid(policy)
    return compose(
        operation,
        policy=config,
        guard=ConnectorGuard("bench", config, tools),
        admission=Admission(permits),
        tools=tools,
        connector="bench",
    )


def compose_flying(
    operation: Operation, *, policy: Mapping[str, Any], tools: Tools, permits: int
) -> Handler[Call, Reply]:
    quickly = replace(operation, quick=quick(operation.attempt))
    return flying(compose_stack(quickly, policy=policy, tools=tools, permits=permits))


class TestPolicyStack(PolicySuite):
    """The stack passes every clause, on both ways of a call."""

    @pytest.fixture(params=[compose_stack, compose_flying], ids=["task", "flight"])
    def stack(self, request: pytest.FixtureRequest) -> ComposeStack:
        composed: ComposeStack = request.param
        return composed
