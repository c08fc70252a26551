"""Structured logs: short event names with fields, one JSON object a line, secrets and numbers masked."""

import logging
import logging.handlers
import re
import sys
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

import structlog

from gateway.settings import LoggingSettings

_SECRET_FIELDS = re.compile(r"token|api_key|apikey|authorization|secret|password|qr|hmac|cookie", re.IGNORECASE)
_NOISY = ("httpx", "httpcore", "aiohttp", "websockets", "apscheduler", "aiosqlite", "uvicorn.access", "alembic")
_TEXT_FIELDS = frozenset({"text", "template", "body", "caption", "content"})
_LONG_NUMBER = re.compile(r"(?<![\w.-])\+?\d{3,11}(\d{4})(?![\w.-])")
_NUMBER_FIELDS = frozenset(
    {"number", "phone", "sender", "sender_number", "chat_id", "session", "recipient", "path", "url"}
)


def mask_number(text: str) -> str:
    """`text` with all but the last four digits of each phone number hidden."""
    return _LONG_NUMBER.sub(r"***\1", text)


def _redact(_: object, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for key, value in event.items():
        if key in ("event", "timestamp", "level", "logger"):
            continue
        if _SECRET_FIELDS.search(key) or key in _TEXT_FIELDS:
            event[key] = "***"
        elif isinstance(value, str) and (key in _NUMBER_FIELDS or key in ("error", "exception", "detail")):
            event[key] = mask_number(value)
    return event


def configure_logging(settings: LoggingSettings, *, console: bool = True) -> None:
    """Send our own and the libraries' logs to the file and (if asked) to stderr.

    Where there is a file, stderr gets only warnings and errors, as text for people.

    Raises:
        OSError: the log file cannot be written.
    """
    shared: list[structlog.types.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        _redact,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,  # a cached one would not hear of a later configuration
    )
    handlers: list[logging.Handler] = []
    if settings.file:
        handlers.append(_open_file(settings.file))
        handlers[-1].setFormatter(_formatter(settings.format, shared))
    if console:
        handlers.append(logging.StreamHandler(sys.stderr))
        handlers[-1].setLevel(logging.WARNING if settings.file else settings.level)
        handlers[-1].setFormatter(_formatter("text" if settings.file else settings.format, shared))
    root = logging.getLogger()
    for old in root.handlers[:]:
        root.removeHandler(old)
        if isinstance(old, logging.handlers.RotatingFileHandler):
            old.close()
    for handler in handlers:
        root.addHandler(handler)
    root.setLevel(settings.level)
    for noisy in _NOISY:
        logging.getLogger(noisy).setLevel(logging.WARNING)


def _open_file(name: str) -> logging.Handler:
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    handler = logging.handlers.RotatingFileHandler(name, maxBytes=50_000_000, backupCount=5, encoding="utf-8")
    Path(name).chmod(0o600)
    return handler


def _formatter(style: str, shared: list[structlog.types.Processor]) -> structlog.stdlib.ProcessorFormatter:
    renderer: structlog.types.Processor = (
        structlog.processors.JSONRenderer()
        if style == "json"
        else structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback)
    )
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
    )
