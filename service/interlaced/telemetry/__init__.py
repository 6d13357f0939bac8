"""Observers: logs and metrics; told and never asked."""
