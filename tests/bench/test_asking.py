"""Asking at a steady rate: a standstill counts for everybody who would have asked meanwhile."""

import asyncio

import aiohttp
from aiohttp import web
from aiohttp.test_utils import TestServer

from bench.asking import asking

QUESTIONS = 6


async def test_questions_go_on_while_none_is_answered_and_each_counts_from_its_own_time() -> None:
    asked, go = asyncio.Event(), asyncio.Event()
    waiting = 0

    async def slow(_: web.Request) -> web.Response:
        nonlocal waiting
        waiting += 1
        if waiting == QUESTIONS:
            asked.set()
        await go.wait()
        return web.Response(status=200 if waiting > 1 else 500)

    app = web.Application()
    app.router.add_get("/slow", slow)
    async with TestServer(app) as server, aiohttp.ClientSession(server.make_url("/")) as http:
        async with asking(http, "/slow", 100.0) as seen:
            await asked.wait()
            assert seen.seconds == []
            go.set()
        assert len(seen.seconds) >= QUESTIONS
        assert seen.seconds[0] > (QUESTIONS - 2) / 100.0
        assert seen.failed == 0


async def test_an_answer_that_is_no_200_and_none_at_all_are_told() -> None:
    called = asyncio.Event()

    async def broken(_: web.Request) -> web.Response:
        called.set()
        return web.Response(status=503)

    app = web.Application()
    app.router.add_get("/broken", broken)
    async with TestServer(app) as server, aiohttp.ClientSession(server.make_url("/")) as http:
        async with asking(http, "/broken", 50.0) as seen:
            await called.wait()
        assert seen.failed == len(seen.seconds) >= 1
