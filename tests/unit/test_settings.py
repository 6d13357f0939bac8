"""Who may listen where."""

from __future__ import annotations

from pathlib import Path

import pytest

from interlaced.core.secret import Secret
from interlaced.settings import Ingress, Settings, SettingsError, is_loopback


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.8.8.8", "::1", "[::1]", "localhost", "unix:/run/s"]
)
def test_loopback_needs_nothing(host: str) -> None:
    assert is_loopback(host)
    Ingress(host=host).check()


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.1", "example.com", ""])
def test_any_other_address_needs_tls_or_insecure(host: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="--insecure"):
        Ingress(host=host).check()
    Ingress(host=host, is_insecure=True).check()
    certificate = tmp_path / "server.pem"
    certificate.touch()
    Ingress(host=host, certificate=certificate, private_key=certificate).check()


def test_a_certificate_without_its_key_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="--tls-key"):
        Ingress(certificate=tmp_path / "a.pem").check()
    with pytest.raises(SettingsError, match="--tls-cert"):
        Ingress(client_ca=tmp_path / "a.pem").check()
    with pytest.raises(SettingsError, match=r"a\.pem: no such file"):
        Ingress(certificate=tmp_path / "a.pem", private_key=tmp_path / "a.pem").check()


def test_the_admin_listener_stays_on_loopback(tmp_path: Path) -> None:
    Settings(config=(tmp_path,)).check()
    with pytest.raises(SettingsError, match="admin listener"):
        Settings(config=(tmp_path,), admin_host="0.0.0.0").check()


@pytest.mark.parametrize(
    ("key", "is_right"), [("k" * 15, False), ("k" * 16, True), ("k" * 65, False)]
)
def test_a_cursor_key_is_neither_short_nor_long(key: str, is_right: bool, tmp_path: Path) -> None:
    settings = Settings(config=(tmp_path,), cursor_keys=(Secret(key),))
    if is_right:
        settings.check()
        return
    with pytest.raises(SettingsError, match="between 16 and 64 bytes"):
        settings.check()


def test_a_missing_config_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="no such file or directory"):
        Settings(config=(tmp_path / "nowhere",)).check()


@pytest.mark.parametrize(
    "name", ["max_in_flight", "max_message", "default_deadline", "max_deadline"]
)
def test_a_limit_of_nothing_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=name):
        Settings(config=(tmp_path,), **{name: 0}).check()


def test_a_connection_without_a_single_rpc_is_refused() -> None:
    with pytest.raises(SettingsError, match="max_streams"):
        Ingress(max_streams=0).check()
