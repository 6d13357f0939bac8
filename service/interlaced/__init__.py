"""Interlace, the service: asks, fans out, listens and tells on behalf of its callers."""

__all__ = ["__version__"]

__version__ = "0.1.0"
