"""Lists in pages: `{"items", "total", "page", "pages", "per_page"}`, asked for in either of two ways.

@router.get("/api/campaigns")
async def list_campaigns(page: Annotated[PageRequest, Depends()]) -> Page[CampaignOut]: ...
"""

from collections.abc import Sequence
from typing import Annotated, Generic, TypeVar

from fastapi import Query
from pydantic import BaseModel, Field

from gateway.errors import FieldError, ValidationFailed

T = TypeVar("T")

DEFAULT_LIMIT = 100
MAX_LIMIT = 1000
MAX_OFFSET = 1_000_000_000
"""No list of ours is that long, and `OFFSET` stays far inside the databases' integers."""


class PageRequest:
    """Which part of a list is asked for: `offset` rows are stepped over, at most `limit` are given.

    Raises:
        ValidationFailed: `skip`/`limit` and `page`/`per_page` were mixed.
    """

    def __init__(
        self,
        skip: Annotated[int | None, Query(ge=0, le=MAX_OFFSET, description="Rows to step over")] = None,
        limit: Annotated[
            int | None, Query(ge=1, le=MAX_LIMIT, description=f"Rows to give; {DEFAULT_LIMIT} if not said")
        ] = None,
        page: Annotated[
            int | None, Query(ge=1, le=MAX_OFFSET // MAX_LIMIT, description="Page number from 1, instead of `skip`")
        ] = None,
        per_page: Annotated[
            int | None, Query(ge=1, le=MAX_LIMIT, description="Rows on a page, instead of `limit`")
        ] = None,
    ) -> None:
        by_rows = {"skip": skip, "limit": limit}
        by_pages = {"page": page, "per_page": per_page}
        if _given(by_rows) and _given(by_pages):
            message = "Use either skip and limit or page and per_page"
            named = _given(by_rows) + _given(by_pages)
            raise ValidationFailed(message + ".", errors=[FieldError(name, message, "mixed_paging") for name in named])
        self.limit = limit or per_page or DEFAULT_LIMIT
        self.offset = skip or ((page or 1) - 1) * self.limit


def _given(parameters: dict[str, int | None]) -> list[str]:
    return [name for name, value in parameters.items() if value is not None]


class Page(BaseModel, Generic[T]):
    """One page of a list."""

    items: list[T]
    total: int = Field(description="Rows in the whole list")
    page: int = Field(description="Number of this page, from 1")
    pages: int = Field(description="Number of pages; 0 when the list is empty")
    per_page: int = Field(description="Rows on a full page")


def make_page(items: Sequence[T], total: int, request: PageRequest) -> Page[T]:
    """The page that answers `request`, from its rows and the number of rows in the whole list."""
    return Page(
        items=list(items),
        total=total,
        page=request.offset // request.limit + 1,
        pages=-(-total // request.limit),
        per_page=request.limit,
    )
