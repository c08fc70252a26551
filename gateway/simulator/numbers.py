"""Which phone numbers are on WhatsApp, under which id, and their hidden ids."""

from collections.abc import Iterable

from gateway.simulator.ids import make_lid, parse_phone


class NumberBook:
    """WhatsApp's register of numbers: every plausible number is on it except those it was told of."""

    def __init__(self, unregistered: Iterable[str], *, brazil_without_nine: bool) -> None:
        self.unregistered = set(unregistered)
        self.brazil_without_nine = brazil_without_nine
        self._phones: dict[str, str] = {}

    def resolve(self, phone: str) -> str | None:
        """The number's WhatsApp id as digits: itself, a Brazilian one's old form, or None if it has none."""
        if phone in self.unregistered or not (phone.isdigit() and 7 <= len(phone) <= 15):
            return None
        if self.brazil_without_nine and _has_ninth_digit(phone):
            shorter = phone[:4] + phone[5:]
            return None if shorter in self.unregistered else shorter
        return phone

    def accepts(self, chat_id: str) -> bool:
        """Whether a message to exactly this chat id can be delivered; groups and lids always can."""
        phone = parse_phone(chat_id)
        if phone is None:
            return not chat_id.endswith("@c.us")
        return self.resolve(phone) == phone

    def misspelt(self, chat_id: str) -> bool:
        """Whether the number is on WhatsApp, but under another id than this one."""
        phone = parse_phone(chat_id)
        return phone is not None and self.resolve(phone) not in (None, phone)

    def lid(self, phone: str) -> str:
        """The hidden id of a number, remembered so that it can be found the other way round."""
        lid = make_lid(phone)
        self._phones[lid] = phone
        return lid

    def phone(self, lid: str) -> str | None:
        """The number behind a hidden id, None when nobody asked for it before."""
        return self._phones.get(lid)

    def canonical(self, chat_id: str) -> str:
        """The chat under which history is kept: a known lid is its number's chat."""
        phone = self._phones.get(chat_id)
        return chat_id if phone is None else f"{phone}@c.us"


def _has_ninth_digit(phone: str) -> bool:
    return len(phone) == 13 and phone.startswith("55") and phone[4] == "9"
