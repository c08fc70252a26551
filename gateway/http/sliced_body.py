"""A JSON body with one long list in it, read in slices and in a worker thread.

Parsing or validating a hundred thousand items in one call takes up to a second, during which no other thread of this
process runs, the event loop's neither. So the list is parsed item by item and validated some items at a time. What is
taken, what is refused, and how a wrong field is named, is the same as with FastAPI's own way behind `StrictJson`.
"""

import asyncio
import json
import re
from collections.abc import Iterable, Iterator
from typing import Any, Generic, TypeVar

import orjson
from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request

from gateway.background import politely
from gateway.errors import FieldError, ValidationFailed
from gateway.http.validation import field_error, fields_failed, malformed_json

M = TypeVar("M", bound=BaseModel)
SLICE = 100
"""So many items take about a millisecond."""
_SPACE = re.compile(r"[ \t\n\r]*")
_decoder = json.JSONDecoder()
_NOT_STRICT = (ValueError, RecursionError)
"""How it is told that a text is no strict JSON: JSON's errors and UTF-8's are ValueErrors."""


class SlicedBody(Generic[M]):
    """A dependency of a route: the request's body as a `model` whose `field` is a long list.

    To FastAPI such a route has no body, so `openapi` describes it. Its path has to be one of the `raw_paths` of
    `StrictJson`, which would parse the body as a whole. Of a list that is longer than `max_items` the rest is counted
    and not kept.
    """

    def __init__(self, model: type[M], field: str, *, max_items: int) -> None:
        self._model = TypeAdapter(model)
        items: Any = model.model_fields[field].annotation
        self._items: TypeAdapter[list[Any]] = TypeAdapter(items)
        self._field = field
        self._max_items = max_items
        schema = {"$ref": f"#/components/schemas/{model.__name__}"}
        self.openapi = {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}

    async def __call__(self, request: Request) -> M:
        """Read the body.

        Raises:
            ValidationFailed: it is not strict JSON, or fields of it are wrong.
        """
        try:
            body = b"".join([chunk async for chunk in request.stream()])
        except ClientDisconnect as gone:
            raise HTTPException(400, "the caller hung up") from gone
        return await asyncio.to_thread(self.read, body)

    def read(self, body: bytes) -> M:
        """As `__call__`, from the bytes, and in a worker thread."""
        if not body:
            raise fields_failed([FieldError("body", "Field required", "missing")])
        reading = _Reading(self._field, self._items, self._max_items)
        try:
            value = reading.read(body.decode())
        except _NOT_STRICT:
            raise _malformed(body) from None
        try:
            model = self._model.validate_python(value, from_attributes=True)
        except ValidationError as error:
            raise fields_failed(
                [*_field_errors(error.errors(include_url=False, include_input=False), value), *reading.errors]
            ) from None
        if reading.errors:
            raise fields_failed(reading.errors)
        if reading.count > self._max_items:
            raise too_many(self._field, self._max_items, reading.count)
        getattr(model, self._field).extend(reading.items)
        return model


def too_many(field: str, limit: int, count: int) -> ValidationFailed:
    """The error about a list that is too long."""
    message = f"at most {limit} {field}, here are {count}"
    return ValidationFailed(message, errors=[FieldError(field, message, "too_long")])


def _malformed(body: bytes) -> ValidationFailed:
    """Says where it is not strict JSON: for that it is parsed once more, as a whole."""
    try:
        orjson.loads(body)
    except orjson.JSONDecodeError as error:
        return malformed_json(f"{error.msg} (at character {error.pos})")
    return malformed_json("it is nested too deeply, or a number in it is too long")


def _field_errors(found: Iterable[ErrorDetails], body: Any) -> list[FieldError]:
    """What pydantic found in `body`, each field named once."""
    return list(dict.fromkeys(field_error({**one, "loc": ("body", *one["loc"])}, body) for one in found))


class _Reading:
    """The reading of one text: how far it is, and what it found.

    The first slice of the long list stays raw in the value, to be validated together with the rest of it. The others
    are validated as soon as they are parsed: into `items` and `errors`.
    """

    def __init__(self, field: str, adapter: TypeAdapter[list[Any]], max_items: int) -> None:
        self.items: list[Any] = []
        self.errors: list[FieldError] = []
        self.count = 0
        self._field = field
        self._adapter = adapter
        self._max_items = max_items
        self._text = ""
        self._at = 0

    def read(self, text: str) -> Any:
        """The text as a value; raises one of `_NOT_STRICT`."""
        self._text, self._at = text, 0
        if self._sign() != "{":
            orjson.loads(text)
            return json.loads(text)
        value = self._object()
        if self._sign():
            raise ValueError("there is more after its end")
        return value

    def _object(self) -> dict[str, Any]:
        """The object that begins here. All of it but the long list's items is checked for strictness at once."""
        members: dict[str, Any] = {}
        rest, begin = [], self._at
        self._take("{")
        while self._sign() != "}":
            if members:
                self._take(",")
            name = self._name()
            self._take(":")
            if name == self._field and self._sign() == "[":
                rest.append(self._text[begin : self._at + 1])
                members[name] = self._long_list()
                begin = self._at - 1
            else:
                members[name] = self._value()
        self._take("}")
        orjson.loads("".join([*rest, self._text[begin : self._at]]))
        return members

    def _long_list(self) -> list[Any]:
        """Read the list that begins here; gives its first slice. Where its name comes twice, the last one counts."""
        self.items, self.errors, self.count = [], [], 0
        first: list[Any] = []
        for items in politely(self._slices()):
            if self.count == 0:
                first = items
            elif self.count < self._max_items:
                self._validate(items)
            self.count += len(items)
        return first

    def _slices(self) -> Iterator[list[Any]]:
        """The items of the list that begins here, some at a time, each some checked for strictness."""
        self._take("[")
        more = self._sign() != "]"
        while more:
            begin, end, items = self._at, self._at, list[Any]()
            while more and len(items) < SLICE:
                items.append(self._value())
                end = self._at
                if more := self._sign() == ",":
                    self._take(",")
            orjson.loads(f"[{self._text[begin:end]}]")
            yield items
        self._take("]")

    def _validate(self, items: list[Any]) -> None:
        try:
            self.items += self._adapter.validate_python(items, from_attributes=True)
        except ValidationError as error:
            self.errors += _field_errors(self._moved(error), {self._field: dict(enumerate(items, self.count))})

    def _moved(self, error: ValidationError) -> Iterator[ErrorDetails]:
        """The errors of a slice, with their places in the whole."""
        for one in error.errors(include_url=False, include_input=False):
            index, *inside = one["loc"]
            yield {**one, "loc": (self._field, self.count + int(index), *inside)}

    def _name(self) -> str:
        if self._sign() != '"':
            raise ValueError("a name is missing")
        return str(self._value())

    def _value(self) -> Any:
        self._sign()
        value, self._at = _decoder.raw_decode(self._text, self._at)
        return value

    def _sign(self) -> str:
        """The next character that is no space, where the reading now is; empty at the end."""
        space = _SPACE.match(self._text, self._at)
        self._at = space.end() if space else self._at
        return self._text[self._at : self._at + 1]

    def _take(self, sign: str) -> None:
        if self._sign() != sign:
            raise ValueError(f"{sign} is missing")
        self._at += 1
