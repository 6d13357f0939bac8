"""TLS towards an upstream: version 1.2 or newer, always verified, its sessions used again."""

from __future__ import annotations

import ssl
import sys
from dataclasses import dataclass

__all__ = ["ResumingContext", "TlsSettings", "client_context"]


@dataclass(frozen=True, slots=True)
class TlsSettings:
    """Paths of PEM files. `ca` replaces the system's authorities; `certificate` and `key` are what
    we show to a server that asks; all may be empty. Nothing switches verification off."""

    ca: str = ""
    certificate: str = ""
    key: str = ""


class ResumingContext(ssl.SSLContext):
    """A context for one origin that offers the server the last session, so that a new connection
    costs neither side a whole handshake. A server that declines it gets a whole one."""

    _session: ssl.SSLSession | None = None

    def keep(self, session: ssl.SSLSession | None) -> None:
        """Keeps a session of this context for the next connection, if it can be used again."""
        if session is not None and session.has_ticket:
            self._session = session

    def wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLObject:
        """Wraps a connection of the loop's, which has no way to pass a session itself."""
        return super().wrap_bio(
            incoming, outgoing, server_side, server_hostname, session or self._session
        )


def client_context(settings: TlsSettings) -> ResumingContext:
    """Builds the context that every connection of one connector shares.

    It reads files, so call it at load. OSError (ssl.SSLError is one) when a file is missing or is
    no PEM, ValueError when there is a key without a certificate.
    """
    if settings.key and not settings.certificate:
        raise ValueError("a key needs its certificate")
    context = ResumingContext(ssl.PROTOCOL_TLS_CLIENT)  # which verifies, and the host's name too
    if sys.version_info >= (3, 13):  # as ssl.create_default_context does
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN | ssl.VERIFY_X509_STRICT
    if settings.ca:
        context.load_verify_locations(settings.ca)
    else:
        context.load_default_certs(ssl.Purpose.SERVER_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # A proxy of ours must speak HTTP/1.1 even where the server would rather have HTTP/2.
    context.set_alpn_protocols(["http/1.1"])
    if settings.certificate:
        context.load_cert_chain(settings.certificate, settings.key or None)
    return context
