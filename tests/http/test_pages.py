"""Lists come in pages, asked for by rows or by page numbers."""

from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from gateway.http.pages import Page, PageRequest, make_page
from gateway.http.problems import install_error_handlers
from tests.http.conftest import ClientOf


class Item(BaseModel):
    number: int


class Row:
    """A row as a query gives it: attributes, more of them than the answer shows."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.secret = "hidden"


@pytest.fixture
def app() -> FastAPI:
    app = FastAPI()
    install_error_handlers(app)

    @app.get("/items", response_model=Page[Item])
    async def items(page: Annotated[PageRequest, Depends()], total: int = 250) -> Any:
        numbers = range(total)[page.offset : page.offset + page.limit]
        return make_page([Row(number) for number in numbers], total, page)

    return app


@pytest.mark.parametrize(
    ("query", "first", "count", "page", "pages", "per_page"),
    [
        ({}, 0, 100, 1, 3, 100),
        ({"limit": 1000}, 0, 250, 1, 1, 1000),
        ({"skip": 240}, 240, 10, 3, 3, 100),
        ({"skip": 20, "limit": 10}, 20, 10, 3, 25, 10),
        ({"page": 3}, 200, 50, 3, 3, 100),
        ({"page": 2, "per_page": 7}, 7, 7, 2, 36, 7),
        ({"per_page": 250}, 0, 250, 1, 1, 250),
        ({"page": 9}, None, 0, 9, 3, 100),
        ({"total": 0}, None, 0, 1, 0, 100),
    ],
)
async def test_a_page_says_where_it_is(
    app: FastAPI,
    client_of: ClientOf,
    query: dict[str, int],
    first: int | None,
    count: int,
    page: int,
    pages: int,
    per_page: int,
) -> None:
    answer = (await client_of(app).get("/items", params=query)).json()
    assert {key: answer[key] for key in ("page", "pages", "per_page")} == {
        "page": page,
        "pages": pages,
        "per_page": per_page,
    }
    assert answer["total"] == query.get("total", 250)
    assert len(answer["items"]) == count
    assert answer["items"][:1] == ([] if first is None else [{"number": first}])


@pytest.mark.parametrize(
    ("query", "fields"),
    [
        ({"skip": 0, "page": 1}, {"skip", "page"}),
        ({"limit": 10, "per_page": 10}, {"limit", "per_page"}),
        ({"skip": 1, "limit": 10, "per_page": 10}, {"skip", "limit", "per_page"}),
        ({"skip": -1}, {"skip"}),
        ({"limit": 0}, {"limit"}),
        ({"limit": 1001}, {"limit"}),
        ({"page": 0}, {"page"}),
        ({"per_page": 1001}, {"per_page"}),
        ({"skip": 10**30}, {"skip"}),
        ({"page": 10**30}, {"page"}),
        ({"limit": "ten"}, {"limit"}),
    ],
)
async def test_a_wrong_page_request_names_its_parameters(
    app: FastAPI, client_of: ClientOf, query: dict[str, Any], fields: set[str]
) -> None:
    answer = await client_of(app).get("/items", params=query)
    assert answer.status_code == 422
    assert {error["field"] for error in answer.json()["errors"]} == fields


@settings(deadline=None)  # the machine may be busy
@given(total=st.integers(0, 300), per_page=st.integers(1, 100))
def test_the_pages_together_are_the_whole_list_once(total: int, per_page: int) -> None:
    seen: list[int] = []
    pages = make_page([], total, PageRequest(per_page=per_page)).pages
    for number in range(1, pages + 1):
        request = PageRequest(page=number, per_page=per_page)
        rows = range(total)[request.offset : request.offset + request.limit]
        assert rows, "no page that exists is empty"
        seen += rows
    assert seen == list(range(total))
