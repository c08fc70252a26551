"""The tree in the docstring is the tree in the code."""

import re
from collections.abc import Iterator

from gateway.waha import errors
from gateway.waha.errors import WahaError


def family(kind: type[WahaError], depth: int = 0) -> Iterator[tuple[int, type[WahaError]]]:
    yield depth, kind
    for child in kind.__subclasses__():
        yield from family(child, depth + 1)


def test_the_docstring_draws_every_error_at_its_place() -> None:
    document = errors.__doc__ or ""
    drawn = re.findall(r"^ {4}([│ ├└─]*)(\w+)(?:  |$)", document, re.MULTILINE)
    places = {(len(branch) // 4, name) for branch, name in drawn}

    assert places == {(depth, kind.__name__) for depth, kind in family(WahaError)}


def test_only_refusals_and_unreachable_servers_are_surely_not_sent() -> None:
    sure = {kind for _, kind in family(WahaError) if kind.surely_not_sent}

    assert sure == {errors.WahaUnreachable, *(kind for _, kind in family(errors.WahaRejected))}


def test_the_text_of_an_error_names_the_http_status() -> None:
    assert str(errors.WahaServerError("down", status_code=502)) == "down (HTTP 502)"
    assert str(errors.WahaTimeout("no answer")) == "no answer"
