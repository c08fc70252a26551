"""Phone numbers for benchmarks, all from ranges that are reserved for fiction: they can never reach anybody."""

SENDERS = 1000
RECIPIENTS = 80_000
_AREA_CODES = 800


def sender_number(index: int) -> str:
    """Digits of sender `index` (0 to 999): Ofcom's drama numbers, +44 7700 900000 to 900999."""
    if not 0 <= index < SENDERS:
        raise ValueError(f"there are {SENDERS} numbers for senders")
    return f"447700900{index:03d}"


def recipient_number(index: int) -> str:
    """Digits of recipient `index` (0 to 79,999): 555-0100 to 555-0199 of each North American area code."""
    if not 0 <= index < RECIPIENTS:
        raise ValueError(f"there are {RECIPIENTS} numbers for recipients")
    line, area = divmod(index, _AREA_CODES)
    return f"1{200 + area}55501{line:02d}"
