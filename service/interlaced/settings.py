"""The settings of the process: frozen, each with a default, checked before anything starts."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from pathlib import Path

from interlaced.core.seat import Seat
from interlaced.core.secret import Secret
from interlaced.core.share import share_count

__all__ = ["Ingress", "Settings", "SettingsError", "is_loopback"]

MIB = 1024 * 1024

_SHORTEST_KEY = 16
_LONGEST_KEY = 64


class SettingsError(Exception):
    """A setting is wrong; the text names it and says what to do, and may be printed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ingress:
    """Where the gRPC listener binds, and who may call it.

    Any address but loopback needs TLS, or `is_insecure` in so many words: nobody runs an open relay
    by accident. Callers then prove themselves by a client certificate (`client_ca`), an API key, or
    not at all.
    """

    host: str = "127.0.0.1"
    port: int = 7070
    certificate: Path | None = None
    private_key: Path | None = None
    client_ca: Path | None = None
    api_keys: tuple[Secret, ...] = ()
    is_insecure: bool = False
    max_streams: int = 1000
    """How many RPCs one connection may have open; more of them wait at the caller."""

    @property
    def has_tls(self) -> bool:
        """Whether the listener speaks TLS."""
        return self.certificate is not None

    def check(self) -> None:
        """Raises SettingsError where the rules above are broken."""
        if self.max_streams < 1:
            raise SettingsError("max_streams must be more than 0")
        if (self.certificate is None) != (self.private_key is None):
            raise SettingsError("--tls-cert and --tls-key belong together; give both or neither")
        if self.client_ca is not None and not self.has_tls:
            raise SettingsError("--tls-client-ca needs --tls-cert and --tls-key")
        for path in (self.certificate, self.private_key, self.client_ca):
            if path is not None and not path.is_file():
                raise SettingsError(f"{path.name}: no such file")
        if is_loopback(self.host) or self.has_tls or self.is_insecure:
            return
        raise SettingsError(
            f"{self.host} is not a loopback address, and there is no TLS: give --tls-cert and "
            "--tls-key, or say --insecure if the network itself is trusted"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything that is set per process. Times in seconds, sizes in bytes."""

    config: tuple[Path, ...]
    """Manifest files, or directories of them."""
    ingress: Ingress = field(default_factory=Ingress)
    admin_host: str = "127.0.0.1"
    admin_port: int = 7072
    has_reflection: bool = False
    cursor_keys: tuple[Secret, ...] = ()
    """Keys of cursors, the signing one first; empty makes one for the life of the process."""
    secrets_folder: Path | None = None
    """Where `${secret:path#key}` looks."""
    max_in_flight: int = 1024
    max_message: int = 4 * MIB
    default_deadline: float = 30.0
    max_deadline: float = 300.0
    drain_limit: float = 20.0
    """The most time that a shutdown takes."""
    seat: Seat = field(default_factory=Seat)
    """Which worker of how many this process is; alone by default."""

    def check(self) -> None:
        """Raises SettingsError at the first setting that is wrong."""
        self.ingress.check()
        for name in ("max_in_flight", "max_message", "default_deadline", "max_deadline"):
            if getattr(self, name) <= 0:
                raise SettingsError(f"{name} must be more than 0")
        if share_count(self.max_in_flight, Seat(self.seat.count - 1, self.seat.count)) == 0:
            raise SettingsError(
                f"max_in_flight is {self.max_in_flight}, which {self.seat.count} workers cannot "
                "share; start fewer workers"
            )
        for key in self.cursor_keys:
            if not _SHORTEST_KEY <= len(key.reveal().encode()) <= _LONGEST_KEY:
                raise SettingsError(
                    f"a cursor key has between {_SHORTEST_KEY} and {_LONGEST_KEY} bytes"
                )
        if not is_loopback(self.admin_host) and not self.ingress.is_insecure:
            raise SettingsError(
                f"the admin listener has no TLS and must stay on loopback, not {self.admin_host}; "
                "say --insecure if the network itself is trusted"
            )
        for path in self.config:
            if not path.exists():
                raise SettingsError(f"{path}: no such file or directory")


def is_loopback(host: str) -> bool:
    """Whether `host` is this machine alone; a name other than `localhost` is not."""
    if host == "localhost" or host.startswith("unix:"):
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
