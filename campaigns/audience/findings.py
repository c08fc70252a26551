"""Everything that is wrong with a request in one answer: also the number, which only the settings can read.

A body is judged field by field before a route has it; whether a number can be read is known to the route alone. So a
request with a wrong name and a wrong number would hear of the name first, and of the number only when it comes again.
"""

from collections.abc import Callable
from typing import Any

from pydantic import ModelWrapValidatorHandler, ValidationError, WrapValidator

from gateway.errors import FieldError, InvalidNumber
from gateway.http.validation import field_error, fields_failed

NUMBER = "phone_number"


def with_number(misread: Callable[[str], FieldError | None]) -> WrapValidator:
    """Have a body's `phone_number` be judged by `misread`, too, where something else of it is wrong.

    Raises:
        InvalidNumber: naming every wrong field, where the number is one of them.
    """

    def judge(body: Any, validate: ModelWrapValidatorHandler[Any]) -> Any:
        try:
            return validate(body)
        except ValidationError as error:
            found = error.errors(include_url=False, include_input=False)
            number = body.get(NUMBER) if isinstance(body, dict) else None
            if not isinstance(number, str) or any(one["loc"][:1] == (NUMBER,) for one in found):
                raise
            if (wrong := misread(number)) is None:
                raise
            fields = [field_error({**one, "loc": ("body", *one["loc"])}, body) for one in found]
            told = fields_failed([wrong, *dict.fromkeys(fields)])
            raise InvalidNumber(told.detail, errors=told.errors) from None

    return WrapValidator(judge)
