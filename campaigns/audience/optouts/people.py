"""Who is meant by a number: a person may be in our lists under one spelling, and be told by WhatsApp under another."""

from campaigns.audience.correspondents import spellings


def person_of(phone: str) -> str:
    """The digits that all spellings of one person's number (digits) share: in Brazil those with the ninth digit."""
    if not phone.startswith("55"):
        return phone
    return max(spellings(phone), key=len)
