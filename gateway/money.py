"""Amounts of money: whole millionths of a currency's unit where they are kept, decimals at the API."""

from decimal import Decimal
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

MILLION = 1_000_000
PLACES = 6
MOST = 1_000_000_000
"""So many units an amount has at most: then no sum of a client leaves 64 bits."""
MOST_PRICE = 10_000


def to_millionths(amount: Decimal) -> int:
    """An amount of at most six decimals, exactly."""
    return int(amount.scaleb(PLACES))


def shown(millionths: int) -> str:
    """An amount as it is shown: with two decimals, or as many as it needs; `-0.50`, `12.00`, `0.000125`."""
    sign = "-" if millionths < 0 else ""
    units, rest = divmod(abs(millionths), MILLION)
    return f"{sign}{units}.{f'{rest:06}'.rstrip('0').ljust(2, '0')}"


def _no_yes_or_no(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError("is a yes or no, not an amount")
    return value


Amount = Annotated[
    Decimal,
    BeforeValidator(_no_yes_or_no),
    Field(ge=-MOST, le=MOST, decimal_places=PLACES, allow_inf_nan=False),
]
"""An amount as a request gives it, as a number or a text; at most six decimals."""
Price = Annotated[
    Decimal, BeforeValidator(_no_yes_or_no), Field(ge=0, le=MOST_PRICE, decimal_places=PLACES, allow_inf_nan=False)
]
"""What one message costs."""
