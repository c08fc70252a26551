"""Identifiers as WhatsApp and WAHA write them: chats, messages, events, QR values, pairing codes."""

import base64
import hashlib
import random
from typing import NamedTuple

CROCKFORD = "0123456789abcdefghjkmnpqrstvwxyz"
PAIRING_ALPHABET = "123456789ABCDEFGHJKLMNPQRSTVWXYZ"


class ParsedMessageId(NamedTuple):
    """A message id as a caller gave it; `chat` is empty for a bare id."""

    bare: str
    chat: str


def make_chat_id(text: str) -> str:
    """Read what a caller calls a chat: bare digits become `@c.us`, and so does the protocol's own suffix."""
    if "@" not in text:
        return text.lstrip("+") + "@c.us"
    if text.endswith("@s.whatsapp.net"):
        return text.removesuffix("@s.whatsapp.net") + "@c.us"
    return text


def make_jid(chat_id: str) -> str:
    """The id of a person in WhatsApp's protocol, where `@c.us` is spelt `@s.whatsapp.net`."""
    return chat_id.replace("@c.us", "@s.whatsapp.net")


def parse_phone(chat_id: str) -> str | None:
    """The digits of a person's chat id, None for groups, lids and whatever else is not a number."""
    digits, _, kind = chat_id.partition("@")
    return digits if kind == "c.us" and digits.isdigit() else None


def make_lid(phone: str) -> str:
    """The hidden id of a person: always the same 15 digits for the same number."""
    digest = hashlib.sha256(f"lid:{phone}".encode()).digest()
    return f"{10**14 + int.from_bytes(digest[:8], 'big') % (9 * 10**14)}@lid"


def make_message_id(rng: random.Random) -> str:
    """A stanza id as GOWS and NOWEB make them: 3EB0 and 18 hex digits, upper case."""
    return f"3EB0{rng.getrandbits(72):018X}"


def parse_message_id(text: str) -> ParsedMessageId:
    """Split `true_<chat>_<ID>[_<participant>]`; anything else is taken as a bare id."""
    parts = text.split("_")
    if len(parts) >= 3 and parts[0] in ("true", "false"):
        return ParsedMessageId(bare=parts[2], chat=parts[1])
    return ParsedMessageId(bare=text, chat="")


def make_ulid(now_ms: int, rng: random.Random) -> str:
    """A ULID in lower case: 48 bits of milliseconds, 80 random bits, 26 characters."""
    value = (now_ms << 80) | rng.getrandbits(80)
    return "".join([CROCKFORD[(value >> shift) & 31] for shift in range(125, -5, -5)])


def make_qr_value(rng: random.Random) -> str:
    """What a QR says: a reference and three keys, comma separated, about 230 characters."""
    reference = "2@" + base64.b64encode(rng.randbytes(69)).decode()
    keys = [base64.b64encode(rng.randbytes(32)).decode() for _ in range(3)]
    return ",".join([reference, *keys])


def make_pairing_code(rng: random.Random) -> str:
    """Eight letters and digits with a dash in the middle, to be typed on the phone."""
    letters = "".join(rng.choices(PAIRING_ALPHABET, k=8))
    return f"{letters[:4]}-{letters[4:]}"
