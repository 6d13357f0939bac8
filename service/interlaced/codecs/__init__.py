"""Bytes to values and back, one file each."""
