"""Certificates and servers are found or their absence is told, never guessed."""

from __future__ import annotations

import shutil
import ssl
from pathlib import Path

import pytest
from benchmarks.service import broker, certificates, workers
from benchmarks.service.certificates import NoOpensslError, make_certificates
from benchmarks.service.measure import Pace
from benchmarks.service.plan import Plan

PLAN = Plan(Pace(seconds=0.01, rounds=1), is_quick=True)


def test_a_certificate_is_trusted_by_itself_alone(tmp_path: Path) -> None:
    if shutil.which("openssl") is None:
        with pytest.raises(NoOpensslError):
            make_certificates(tmp_path)
        return
    made = make_certificates(tmp_path)
    made.for_grpc().load_verify_locations(made.ca)
    ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(made.certificate, made.key)


def test_without_openssl_the_case_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(certificates.shutil, "which", lambda _name: None)
    with pytest.raises(NoOpensslError, match="no openssl"):
        make_certificates(tmp_path)


def test_a_server_that_is_named_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NATS_SERVER_BIN", "/somewhere/nats-server")
    assert broker.find_nats() == "/somewhere/nats-server"


async def test_without_a_broker_the_case_has_no_ratio_and_says_why(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(broker, "find_nats", lambda: None)
    [case] = await broker.nats(PLAN)
    assert case.ratio is None
    assert "fetch_test_servers" in case.notes[0]


async def test_without_workers_the_case_has_no_ratio_and_says_why(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(workers, "can_have_workers", lambda: False)
    [case] = await workers.workers(PLAN)
    assert case.ratio is None
    assert "--workers" in case.notes[0]
