"""The first message of a socket: who is there, what they want to hear, and from when on."""

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

MAX_SEQUENCE = 2**63 - 1
_Name = Annotated[str, Field(min_length=1, max_length=40, pattern=r"^[a-z_]+\.([a-z_]+|\*)$")]


class FirstMessage(BaseModel):
    """What a client sends first.

    `token` is any credential; `sender_number` names a number of ours, and alone it is enough in open mode. `since` is
    the sequence of the last event that the client has heard. `events` are the kinds that it wants; `message.*` are all
    that begin so.
    """

    model_config = ConfigDict(extra="forbid", strict=True)

    type: Literal["auth"]
    token: str | None = Field(default=None, min_length=1, max_length=4096)
    sender_number: str | None = Field(default=None, min_length=1, max_length=64)
    since: int | None = Field(default=None, ge=0, le=MAX_SEQUENCE)
    events: list[_Name] | None = Field(default=None, min_length=1, max_length=50)

    def wants(self, kind: str) -> bool:
        """Whether it wants events of this kind."""
        return self.events is None or any(_covers(name, kind) for name in self.events)


def _covers(name: str, kind: str) -> bool:
    return kind.startswith(name[:-1]) if name.endswith("*") else kind == name


def read_first(text: str) -> FirstMessage:
    """A first message.

    Raises:
        ValueError: it is none; the text says in few words why.
    """
    try:
        return FirstMessage.model_validate_json(text)
    except ValidationError as error:
        raise ValueError(_in_words(error.errors(include_url=False, include_input=False)[0]["loc"])) from None


def _in_words(place: Sequence[str | int]) -> str:
    fault = ".".join(str(part) for part in place)
    return f"{fault} is not valid" if fault else 'send {"type": "auth", "token": "..."} first'
