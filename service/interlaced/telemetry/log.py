"""Structured logs: one JSON object per line, or a console format on a terminal.

Every value passes the redactor last, in the sink, since call sites are forgotten. The field names
are those of the OpenTelemetry log data model for foreign formats.
"""

from __future__ import annotations

import logging
import sys
import traceback
from collections.abc import Iterable, Mapping, MutableMapping
from contextvars import ContextVar
from types import MappingProxyType
from typing import Any, TextIO, TypeAlias

import structlog

from interlaced import __version__
from interlaced.core.secret import Secret
from interlaced.telemetry.names import LOG_FIELDS
from interlaced.telemetry.redact import Redactor

__all__ = ["bind", "bound", "configure", "learn_secrets", "log"]

_Fields: TypeAlias = MutableMapping[str, Any]

_SEVERITY = {"debug": 5, "info": 9, "warning": 13, "error": 17, "critical": 21}

_redactor = Redactor()

log = structlog.stdlib.get_logger("interlace")
"""The logger of the house: `log.info("room.what_happened", field=value)`."""

_NONE: Mapping[str, Any] = MappingProxyType({})
_bound: ContextVar[Mapping[str, Any]] = ContextVar("interlace_log_fields", default={})  # noqa: B039  # never written to


def bind(**fields: Any) -> None:
    """Adds fields to every record of this task, such as `request_id`.

    One variable for all of them, because this runs once per RPC and is read once per record.
    """
    before = _bound.get()
    _bound.set({**before, **fields} if before else fields)


def bound() -> Mapping[str, Any]:
    """Returns the fields that are bound here."""
    return _bound.get()


def configure(
    *,
    style: str = "json",
    level: str = "info",
    stream: TextIO | None = None,
    fields: Mapping[str, Any] = _NONE,
) -> None:
    """Sets logging up, once and before the first RPC; `style` is `json` or `console`. `fields` are
    in every record of the process, also of tasks in a context of their own.

    Libraries that use the standard logging end in the same sink; a later change of level uses
    `setLevel` alone (grpc/grpc#43421: reconfiguring while RPCs run can deadlock).
    """

    def add_bound(_logger: object, _method: str, record: _Fields) -> _Fields:
        for name, value in {**fields, **_bound.get()}.items():
            record.setdefault(name, value)
        return record

    chain: list[structlog.types.Processor] = [
        add_bound,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="timestamp"),
        _describe_exception,
        _redactor.processor,
    ]
    sink = logging.StreamHandler(stream or sys.stderr)
    sink.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *_end(style)],
            foreign_pre_chain=chain,
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [sink]
    root.setLevel(level.upper())
    for noisy in ("asyncio", "aiohttp.access"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *chain,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )


def learn_secrets(secrets: Iterable[Secret]) -> None:
    """Makes the sink mask these values wherever they turn up."""
    _redactor.learn(secrets)


def _end(style: str) -> list[structlog.types.Processor]:
    """The last steps: the fields' final names, then the text."""
    if style == "console":
        colors = sys.stderr.isatty()
        return [structlog.dev.ConsoleRenderer(colors=colors, event_key="event")]
    return [_rename, structlog.processors.JSONRenderer()]


def _rename(_logger: object, _method: str, fields: _Fields) -> _Fields:
    """Gives the fields the names of the OpenTelemetry log data model."""
    level = str(fields.pop("level", "info"))
    event = str(fields.pop("event", ""))
    head: dict[str, Any] = {
        "timestamp": fields.pop("timestamp", ""),
        "severity_text": level.upper(),
        "severity_number": _SEVERITY.get(level, 9),
        "event_name": event if _is_event_name(event) else "",
        "body": event,
        "service.name": "interlace",
        "service.version": __version__,
    }
    return head | {LOG_FIELDS.get(name, name): value for name, value in fields.items()}


def _is_event_name(event: str) -> bool:
    """Our own records are named `room.what_happened`; those of libraries are sentences."""
    return "." in event and " " not in event


def _describe_exception(_logger: object, _method: str, fields: _Fields) -> _Fields:
    """Turns `exc_info` into plain text fields, so that the redactor sees them."""
    error = fields.pop("exc_info", None)
    if error is True:
        error = sys.exc_info()[1]
    if isinstance(error, tuple):
        error = error[1]
    if isinstance(error, BaseException):
        kind = type(error)
        fields["error.type"] = f"{kind.__module__}.{kind.__qualname__}"
        fields["error.stack"] = "".join(traceback.format_exception(error))
    return fields
