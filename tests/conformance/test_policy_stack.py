"""The policy suite on the stack of the house."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

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


class TestPolicyStack(PolicySuite):
    """The stack passes every clause."""

    @pytest.fixture
    def stack(self) -> ComposeStack:
        return compose_stack
