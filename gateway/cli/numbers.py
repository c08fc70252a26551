"""Phone numbers as a terminal shows them."""

import phonenumbers


def spaced(e164: str) -> str:
    """A number in the groups of its country, such as "+44 7700 900001"; unchanged where it is of no known plan."""
    try:
        number = phonenumbers.parse(e164)
    except phonenumbers.NumberParseException:
        return e164
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.INTERNATIONAL)
