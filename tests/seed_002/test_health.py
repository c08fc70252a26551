"""Seed 002, "Health Check API": each example request, and each example answer's keys and types."""

import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.app import build_gateway
from gateway.settings import Settings
from gateway.web import create_app
from tests.seed_002.seed import Seed

EXAMPLES: dict[str, dict[str, Any]] = {
    "/health": {"status": "healthy", "timestamp": "2024-01-01T10:00:00Z", "version": "1.0.0"},
    "/health/db": {
        "status": "healthy",
        "database": "postgresql",
        "connection_pool": {"size": 20, "checked_in": 18, "checked_out": 2, "overflow": 0},
    },
    "/health/redis": {
        "status": "healthy",
        "redis_version": "7.0.5",
        "connected_clients": 5,
        "used_memory": "15.2MB",
        "uptime_days": 45,
    },
    "/health/celery": {
        "status": "healthy",
        "workers": 3,
        "active_tasks": 2,
        "queued_tasks": 10,
        "worker_details": [
            {"name": "worker-1", "status": "online", "current_task": "send_whatsapp_message", "processed": 1250}
        ],
    },
    "/health/detailed": {
        "status": "healthy",
        "timestamp": "2024-01-01T10:00:00Z",
        "services": {
            "api": {"status": "healthy", "uptime": "5d 12h 30m", "requests_per_minute": 150},
            "database": {"status": "healthy", "connection_pool": "18/20", "response_time": "5ms"},
            "redis": {"status": "healthy", "memory_usage": "15.2MB", "queue_depth": 10},
            "celery": {"status": "healthy", "workers": 3, "active_tasks": 2},
        },
    },
}
FORMATS = {
    "timestamp": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z",
    "version": r"\d+\.\d+\.\d+",
    "database": r"sqlite|postgresql",
    "uptime": r"\d+d \d+h \d+m",
    "connection_pool": r"\d+/\d+",
    "response_time": r"\d+ms",
}
NOT_THERE = {"redis_version", "connected_clients", "used_memory", "uptime_days", "memory_usage", "current_task"}
"""What is null where there is no Redis, and for a worker that has nothing to do."""


@pytest.fixture
async def client(database_url: str, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    """A gateway on each kind of database, without any WAHA server."""
    settings = {"database": {"url": database_url, "data_folder": tmp_path}, "logging": {"file": ""}}
    gateway = build_gateway(Settings.model_validate(settings))
    transport = httpx.ASGITransport(create_app(gateway))
    async with AsyncExitStack() as stack:
        stack.push_async_callback(gateway.stop)
        await gateway.start()
        yield await stack.enter_async_context(httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000"))


def differences(example: Any, told: Any, name: str) -> list[str]:
    """Where the answer has not the example's keys, types and formats."""
    if told is None and name in NOT_THERE:
        return []
    if type(told) is not type(example):
        return [f"{name}: {told!r}"]
    if isinstance(example, dict):
        missing = [f"{name}: {key} is missing" for key in example if key not in told]
        return missing + [
            one for key, value in example.items() if key in told for one in differences(value, told[key], key)
        ]
    if isinstance(example, list):
        return [one for item in told for one in differences(example[0], item, name)] if told else [f"{name}: empty"]
    if isinstance(example, str) and not re.fullmatch(FORMATS.get(name, r".+"), told):
        return [f"{name}: {told!r}"]
    return []


@pytest.mark.parametrize("path", EXAMPLES)
async def test_the_answer_has_the_keys_and_types_of_the_example(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.get(path)
    assert answer.status_code == 200
    assert differences(EXAMPLES[path], answer.json(), path) == []
    if path in ("/health/redis", "/health/celery"):
        assert answer.json()["status"] == "not_configured"
        assert len(answer.json()["detail"].split()) > 5


def test_the_examples_above_are_the_documents(seed: Seed) -> None:
    headings = [heading for heading in seed.headings("http") if heading.endswith("Health Check")]
    shown = {seed.request(heading).path: seed.answer(heading) for heading in headings}
    assert shown == EXAMPLES
    assert {seed.request(heading).method for heading in headings} == {"GET"}


def test_an_answer_without_a_key_or_with_another_type_is_found() -> None:
    """The control: the comparison above compares something."""
    assert differences({"a": 1, "uptime": "5d 12h 30m"}, {"uptime": "5 days"}, "") == [
        ": a is missing",
        "uptime: '5 days'",
    ]
    assert differences({"a": [{"b": "x"}]}, {"a": [{"b": 1}]}, "") == ["b: 1"]
