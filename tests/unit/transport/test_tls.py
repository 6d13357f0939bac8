"""The TLS context towards an upstream."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from interlaced.transport.tls import TlsSettings, client_context


def test_it_verifies_and_is_1_2_or_newer() -> None:
    context = client_context(TlsSettings())
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2


def test_a_missing_file_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(OSError):  # noqa: PT011  # whatever the platform calls it
        client_context(TlsSettings(ca=str(tmp_path / "none.pem")))


def test_a_file_that_is_no_pem_is_an_os_error(tmp_path: Path) -> None:
    (tmp_path / "bad.pem").write_text("nothing")
    with pytest.raises(ssl.SSLError):
        client_context(TlsSettings(certificate=str(tmp_path / "bad.pem")))


def test_a_key_without_a_certificate_is_refused() -> None:
    with pytest.raises(ValueError, match="needs its certificate"):
        client_context(TlsSettings(key="key.pem"))
