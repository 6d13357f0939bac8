"""The relay: what the workers of one server share, so that they are one server to the outside."""
