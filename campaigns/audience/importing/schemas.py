"""What the routes of imports take and give."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import orjson
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from campaigns.audience.importing.columns import PHONE
from campaigns.audience.importing.models import ImportProblem, ImportState, RowFate
from campaigns.audience.schemas import MAX_GROUPS, PersonName

_ID = "01a1fb76-b031-7b43-9d8e-a57d616216a5"
_IMPORT: dict[str, Any] = {
    "id": _ID,
    "state": "done",
    "dry_run": False,
    "on_duplicate": "skip",
    "on_bad_row": "partial",
    "group_ids": ["01a1fb76-b031-7b43-9d8e-a57d616216a3"],
    "rows_read": 1200,
    "rows_total": 1200,
    "created": 1044,
    "updated": 0,
    "existing": 0,
    "duplicate": 100,
    "invalid": 33,
    "blank": 23,
    "error_code": None,
    "error": None,
    "created_at": "2026-11-21T09:00:00Z",
    "finished_at": "2026-11-21T09:00:01Z",
}
_ROW: dict[str, Any] = {
    "line": 7,
    "fate": "invalid",
    "phone_number": "ask Bert",
    "name": "Ada",
    "reason": "there are letters in it",
}


def read_columns(text: str) -> dict[str, str | None]:
    """The JSON of `columns`; raises `ValueError` with the reason where it is not what it should be."""
    try:
        found = orjson.loads(text or "{}")
    except orjson.JSONDecodeError:
        raise ValueError("is not valid JSON") from None
    if not isinstance(found, dict) or not all(isinstance(role, str | None) for role in found.values()):
        raise ValueError('has to be a JSON object such as {"Tel. 2": "phone", "Notes": null}')
    if sum(role == PHONE for role in found.values()) > 1:
        raise ValueError("says of two columns that they are the phone column: one of them has to be it")
    return found


def _check_columns(text: str) -> str:
    read_columns(text)
    return text


class ImportOptions(BaseModel):
    """How a list is imported."""

    model_config = ConfigDict(extra="forbid")

    dry_run: bool = Field(default=False, description="Only tell what would become of each row")
    group_ids: list[UUID] = Field(default=[], max_length=MAX_GROUPS, description="Groups to put everybody into")
    group_name: PersonName | None = Field(
        default=None, description="A group to put everybody into; it is made where there is none of the name"
    )
    on_duplicate: Literal["skip", "update"] = Field(
        default="skip", description="Whom the account has already: left as they are, or changed by what the file says"
    )
    on_bad_row: Literal["strict", "partial"] = Field(
        default="strict", description="strict: with a bad row nothing is stored; partial: the good rows are"
    )
    columns: Annotated[str, StringConstraints(max_length=20_000), AfterValidator(_check_columns)] = Field(
        default="",
        description='What columns are, where it is not to be guessed, as JSON: {"Tel. 2": "phone", "Client": "name", '
        '"Ort": "city", "Notes": null}',
    )

    def said(self) -> Mapping[str, str | None]:
        """What is said of the columns."""
        return read_columns(self.columns)


class ImportOut(BaseModel):
    """An import. The six counts, from `created` to `blank`, add up to `rows_total` when it is done."""

    model_config = ConfigDict(json_schema_extra={"examples": [_IMPORT]})

    id: UUID
    state: ImportState
    dry_run: bool = Field(description="Nothing was stored: the counts tell what would have become of the rows")
    on_duplicate: str
    on_bad_row: str
    group_ids: list[UUID] = Field(description="The groups that everybody is put into")
    rows_read: int = Field(description="Rows of the file that were read so far")
    rows_total: int | None = Field(description="All its rows, once it was read to its end")
    created: int
    updated: int = Field(description="Were there, and are changed")
    existing: int = Field(description="Were there, and stay as they are")
    duplicate: int = Field(description="The number stands in an earlier row")
    invalid: int
    blank: int = Field(description="Rows without a number")
    error_code: ImportProblem | None = Field(description="Why it failed, in a word for programs")
    error: str | None = Field(description="Why it failed")
    created_at: datetime
    finished_at: datetime | None


class ImportRowOut(BaseModel):
    """What became of a row."""

    model_config = ConfigDict(json_schema_extra={"examples": [_ROW]})

    line: int = Field(description="Where the row begins in the file, or in the sheet, from 1")
    fate: RowFate
    phone_number: str = Field(description="With country code and +; what stands in the file where it is no number")
    name: str
    reason: str = Field(description="Why it was not stored, or what was changed in it; else empty")
