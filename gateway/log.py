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
_NUMBER_FIELDS = frozenset({"number", "phone", "sender", "sender_number", "chat_id", "session", "recipient"})


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
    """Send our own and the libraries' logs through one renderer, to the file and (if asked) to stderr.

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
        cache_logger_on_first_use=True,
    )
    handlers: list[logging.Handler] = [logging.StreamHandler(sys.stderr)] if console else []
    if settings.file:
        Path(settings.file).parent.mkdir(parents=True, exist_ok=True)
        handlers.append(
            logging.handlers.RotatingFileHandler(settings.file, maxBytes=50_000_000, backupCount=5, encoding="utf-8")
        )
        Path(settings.file).chmod(0o600)
    root = logging.getLogger()
    for old in root.handlers[:]:
        root.removeHandler(old)
    for handler in handlers:
        handler.setFormatter(_formatter(settings.format, shared))
        root.addHandler(handler)
    root.setLevel(settings.level)
    for noisy in _NOISY:
        logging.getLogger(noisy).setLevel(logging.WARNING)


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
