"""What is logged says no secret, no text and no whole number."""

import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from gateway.log import configure_logging, mask_number
from gateway.settings import LoggingSettings


@pytest.fixture
def log_file(tmp_path: Path) -> Iterator[Path]:
    """Where logs go; the libraries' loggers are as before afterwards."""
    root = logging.getLogger()
    handlers, level, configured = root.handlers[:], root.level, structlog.get_config()
    path = tmp_path / "logs" / "gateway.log"
    configure_logging(LoggingSettings(file=str(path), level="DEBUG"), console=False)
    yield path
    for handler in root.handlers:
        handler.close()
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.configure(**configured)


def test_secrets_texts_and_numbers_are_hidden(log_file: Path) -> None:
    log = structlog.stdlib.get_logger("product")
    secret = "canary-secret"
    log.info("event", api_key=secret, admin_token=secret, Authorization=secret, webhook_secret=secret, qr=secret)
    log.info("event", text=secret, template=secret, caption=secret)
    log.info("event", number="447700900123", error="no answer for +447700900123 at all")
    written = log_file.read_text()
    assert secret not in written
    assert "447700900123" not in written
    assert written.count("***0123") == 2


def test_each_entry_is_one_line_of_json_whatever_it_says(log_file: Path) -> None:
    structlog.stdlib.get_logger("product").warning("event", reason="two\nlines", campaign_id="7")
    logging.getLogger("library").error("plain\r\nwords")
    lines = [json.loads(line) for line in log_file.read_text().splitlines()]
    assert [line["event"] for line in lines] == ["event", "plain\r\nwords"]
    assert (lines[0]["level"], lines[0]["campaign_id"]) == ("warning", "7")


def test_the_log_is_for_its_owner_only(log_file: Path) -> None:
    assert log_file.stat().st_mode & 0o777 == 0o600


def test_an_error_is_told_with_where_it_came_from_and_no_number(log_file: Path) -> None:
    try:
        raise RuntimeError("+447700900123 said no")
    except RuntimeError:
        structlog.stdlib.get_logger("product").exception("event")
    written = log_file.read_text()
    assert "RuntimeError" in written
    assert "447700900123" not in written


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("+447700900123", "***0123"),
        ("call 447700900123 now", "call ***0123 now"),
        ("1234", "1234"),
        ("campaign 01a3185c-5000-7703-8d1e-a27d33bd0e53", "campaign 01a3185c-5000-7703-8d1e-a27d33bd0e53"),
    ],
)
def test_numbers_keep_their_last_four_digits(text: str, masked: str) -> None:
    assert mask_number(text) == masked
