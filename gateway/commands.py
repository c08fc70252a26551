"""The commands by their names. Only the one that is asked for is loaded: none waits for what another one needs."""

import importlib
from collections.abc import Callable, Sequence
from typing import Any

from gateway.heap import growing_heap

_PLACES = {
    "serve": "gateway.cli.serve:serve",
    "demo": "gateway.demo.command:demo",
    "send": "gateway.cli.send:send",
    "simulate": "gateway.cli.simulate:simulate",
    "check": "gateway.cli.check:check",
    "migrate": "gateway.cli.migrate:migrate",
    "create-user": "gateway.cli.create_user:create_user",
    "process-queue": "gateway.cli.process_queue:process_queue",
    "create-client": "gateway.cli.create_client:create_client",
}

Run = Callable[..., Any]


def load_commands(arguments: Sequence[str]) -> dict[str, Run]:
    """The command that the arguments of the process name; all, in the order of the help, where they name none."""
    first = next((word for word in arguments if not word.startswith("-")), None)
    names = [first] if first in _PLACES else list(_PLACES)
    with growing_heap():
        return {name: _load(name) for name in names}


def _load(name: str) -> Run:
    module, function = _PLACES[name].split(":")
    run: Run = getattr(importlib.import_module(module), function)
    return run
