"""Structured logs: one JSON object per line, or a console format on a terminal.

Every value passes the redactor last, in the sink, since call sites are forgotten.
"""
