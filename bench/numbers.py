"""Phone numbers for benchmarks, all from ranges that are reserved for fiction: they can never reach anybody."""

SENDERS = 1000
_AREA_CODES = 800
_LINES = 100
_NORTH_AMERICAN = _AREA_CODES * _LINES
_FRENCH = ("19900", "26191", "35301", "46571", "53649", "63998")
_EACH = 10_000
_FIRST_LID = 100_000_000_000_000
RECIPIENTS = _NORTH_AMERICAN + len(_FRENCH) * _EACH


def sender_number(index: int) -> str:
    """Digits of sender `index` (0 to 999): Ofcom's drama numbers, +44 7700 900000 to 900999."""
    if not 0 <= index < SENDERS:
        raise ValueError(f"there are {SENDERS} numbers for senders")
    return f"447700900{index:03d}"


def recipient_number(index: int) -> str:
    """Digits of recipient `index` (0 to 139,999).

    First 555-0100 to 555-0199 of each North American area code, then what ARCEP keeps for films in each zone of
    France: 01 99 00, 02 61 91, 03 53 01, 04 65 71, 05 36 49 and 06 39 98, each with four more digits.
    """
    if not 0 <= index < RECIPIENTS:
        raise ValueError(f"there are {RECIPIENTS} numbers for recipients")
    if index < _NORTH_AMERICAN:
        line, area = divmod(index, _AREA_CODES)
        return f"1{200 + area}55501{line:02d}"
    zone, line = divmod(index - _NORTH_AMERICAN, _EACH)
    return f"33{_FRENCH[zone]}{line:04d}"


def hidden_id(index: int) -> str:
    """The hidden id of recipient `index`."""
    return f"{_FIRST_LID + index}@lid"


def phone_behind(lid: str) -> str:
    """The digits of the recipient with this hidden id."""
    return recipient_number(int(lid.removesuffix("@lid")) - _FIRST_LID)
