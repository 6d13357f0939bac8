"""The core nouns."""

from __future__ import annotations

from interlaced.core.model import Call, Effort, Step


def test_a_ledger_is_kept_only_where_it_was_asked_for() -> None:
    silent, asked = Effort(started=0.0), Effort(started=0.0, ledger=[])
    step = Step("attempt", 0.0, 0.1)
    silent.note(step)
    asked.note(step)
    assert silent.ledger is None
    assert asked.ledger == [step]


def test_a_call_has_slots_and_empty_defaults() -> None:
    call = Call(deadline=1.0, effort=Effort(started=0.0), connector="shop", operation="Get")
    assert not hasattr(call, "__dict__")
    assert (call.parameters, call.payload, call.accept, call.idempotency_key) == ({}, None, (), "")
