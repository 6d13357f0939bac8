"""Shared wires: HTTP, WebSocket, TLS and the egress guard."""
