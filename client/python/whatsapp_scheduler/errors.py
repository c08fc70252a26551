"""What the API refuses."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import httpx


@dataclass(frozen=True, slots=True)
class FieldProblem:
    """One wrong field of a request: its dotted path, a sentence, and a word for programs."""

    field: str
    message: str
    code: str


class ApiError(Exception):
    """The API has refused a request: `error_code` is for programs, `errors` names each wrong field."""

    def __init__(self, status_code: int, error_code: str, detail: str, errors: Sequence[FieldProblem] = ()) -> None:
        super().__init__(detail)
        self.status_code = status_code
        self.error_code = error_code
        self.detail = detail
        self.errors = tuple(errors)

    @classmethod
    def of(cls, response: httpx.Response) -> Self:
        """The error in an answer; also where something before the gateway has answered, in a shape of its own."""
        try:
            body = response.json()
        except ValueError:
            body = None
        if not isinstance(body, dict) or "error_code" not in body:
            return cls(response.status_code, "UNKNOWN", f"HTTP {response.status_code} {response.reason_phrase}")
        errors = [FieldProblem(one["field"], one["message"], one["code"]) for one in body.get("errors", [])]
        return cls(response.status_code, body["error_code"], body.get("detail", ""), errors)
