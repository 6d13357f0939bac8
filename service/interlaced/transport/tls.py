"""TLS towards an upstream: version 1.2 or newer, always verified."""

from __future__ import annotations

import ssl
from dataclasses import dataclass

__all__ = ["TlsSettings", "client_context"]


@dataclass(frozen=True, slots=True)
class TlsSettings:
    """Paths of PEM files. `ca` replaces the system's authorities; `certificate` and `key` are what
    we show to a server that asks; all may be empty. Nothing switches verification off."""

    ca: str = ""
    certificate: str = ""
    key: str = ""


def client_context(settings: TlsSettings) -> ssl.SSLContext:
    """Builds the context that every connection of one connector shares.

    It reads files, so call it at load. OSError (ssl.SSLError is one) when a file is missing or is
    no PEM, ValueError when there is a key without a certificate.
    """
    if settings.key and not settings.certificate:
        raise ValueError("a key needs its certificate")
    context = ssl.create_default_context(cafile=settings.ca or None)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # A proxy of ours must speak HTTP/1.1 even where the server would rather have HTTP/2.
    context.set_alpn_protocols(["http/1.1"])
    if settings.certificate:
        context.load_cert_chain(settings.certificate, settings.key or None)
    return context
