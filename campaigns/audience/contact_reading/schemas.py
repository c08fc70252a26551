"""What reading a contact list takes and gives."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

MAX_ROWS_GIVEN = 1_000_000


class ReadOptions(BaseModel):
    """How a list is read, and how much of it is told."""

    model_config = ConfigDict(extra="forbid")

    phone_column: Annotated[str, StringConstraints(max_length=300)] = Field(
        default="", description="The column of the numbers, where it is not to be guessed"
    )
    rows: int = Field(default=20, ge=0, le=MAX_ROWS_GIVEN, description="How many of the good rows to give")


class ContactOut(BaseModel):
    """A row that somebody can be written to for."""

    line: int = Field(description="Where the row begins in the file, or in the sheet, from 1")
    phone_number: str
    grade: str = Field(description="What libphonenumber thinks of it: valid, possible or invalid")
    variables: dict[str, str] = Field(description="What stands in the other columns, by their names")


class RefusedRow(BaseModel):
    """A row that nobody is written to for."""

    line: int
    fate: Literal["duplicate", "invalid", "blank"]
    written: str = Field(description="The number as it stands in the file; at most 100 characters")
    reason: str


class ContactsOut(BaseModel):
    """A contact list as it was understood; nothing was stored. The four counts add up to the rows of the file."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "columns": ["name", "phone", "city"],
                    "phone_column": "phone",
                    "has_header": True,
                    "valid": 1044,
                    "duplicate": 100,
                    "invalid": 33,
                    "blank": 23,
                    "rows": [
                        {
                            "line": 2,
                            "phone_number": "+447700900100",
                            "grade": "valid",
                            "variables": {"name": "Ada", "city": "London"},
                        }
                    ],
                    "refused": [
                        {"line": 7, "fate": "invalid", "written": "ask Bert", "reason": "there are letters in it"}
                    ],
                }
            ]
        }
    )

    columns: list[str]
    phone_column: str
    has_header: bool
    valid: int = Field(description="Rows with a number that stands in no earlier one")
    duplicate: int
    invalid: int
    blank: int = Field(description="Rows without a number")
    rows: list[ContactOut]
    refused: list[RefusedRow] = Field(description="The first 100 of the others, but for rows without any content")
