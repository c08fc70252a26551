"""Who is who: names of WhatsApp's are put together as it is found out that they are one person's. Pure.

A name is a chat id: that of a number, or a hidden one. A number and a hidden id that are told together are one
person's, and what was kept under two contacts becomes one. Two numbers are never put together (but for the two
spellings of a Brazilian one): a hidden id that is told with another number than before belongs to the new one from now
on, and no thread is moved.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from campaigns.audience.correspondents import spellings
from gateway.waha.ids import make_chat_id


@dataclass(slots=True)
class Person:
    """A contact as it is in memory. `changed`: it differs from what is stored."""

    id: str
    account_id: str
    phone: str | None
    name: str
    is_new: bool = False
    changed: bool = False


@dataclass(frozen=True, slots=True)
class Merge:
    """A contact that turned out to be another one."""

    account_id: str
    loser: str
    winner: str


@dataclass(slots=True)
class Directory:
    """The contacts of whom a batch of messages knows something, and what the batch changes in them.

    `make_id` gives the id of a new contact. `names` are by account and name; of them `new_names` are to be stored, and
    `moved_names` belong to another contact than before.
    """

    make_id: Callable[[], str]
    people: dict[str, Person] = field(default_factory=dict)
    names: dict[tuple[str, str], str] = field(default_factory=dict)
    new_names: dict[tuple[str, str], str] = field(default_factory=dict)
    moved_names: dict[tuple[str, str], str] = field(default_factory=dict)
    merges: list[Merge] = field(default_factory=list)
    _became: dict[str, str] = field(default_factory=dict)

    def know(self, person: Person, name: str | None = None) -> None:
        """What is stored: a contact, and a name of it."""
        self.people.setdefault(person.id, person)
        if name is not None:
            self.names[person.account_id, name] = person.id

    def find(self, person_id: str) -> Person:
        """The contact, or what it has become."""
        while person_id in self._became:
            person_id = self._became[person_id]
        return self.people[person_id]

    def person(self, account_id: str, phone: str | None, lids: Iterable[str], push_name: str = "") -> Person:
        """Whose these names are (digits of a number, hidden ids): a contact that is known, or a new one."""
        found = self._by_phone(account_id, phone) if phone is not None else None
        for lid in lids:
            found = self._with_lid(account_id, found, phone, lid)
        if found is None:
            found = self._make(account_id, phone)
        if phone is not None:
            self._give_phone(found, phone)
        if push_name and push_name != found.name:
            found.name, found.changed = push_name, True
        return found

    def same(self, one: Person, other: Person) -> Person:
        """Both are one person, as a message that came under both names has shown; gives that person."""
        one, other = self.find(one.id), self.find(other.id)
        if one.id == other.id or (one.phone and other.phone):
            return one
        winner, loser = (other, one) if other.phone else (one, other)
        self._merge(winner, loser)
        return winner

    def _by_phone(self, account_id: str, phone: str) -> Person | None:
        found = (self.names.get((account_id, make_chat_id(one))) for one in spellings(phone))
        person_id = next((one for one in found if one is not None), None)
        return self.find(person_id) if person_id is not None else None

    def _with_lid(self, account_id: str, found: Person | None, phone: str | None, lid: str) -> Person:
        """The person behind a hidden id, and behind the number if there was one."""
        known_id = self.names.get((account_id, lid))
        known = self.find(known_id) if known_id is not None else None
        if known is None:
            found = found or self._make(account_id, phone)
            self._name(found, lid)
        elif found is None:
            if phone is None or known.phone is None:
                return known
            found = self._make(account_id, phone)
            self._name(found, lid)  # it was another number's
        elif found.id != known.id:
            if known.phone is None:
                self._merge(found, known)
            elif found.phone is None:
                self._merge(known, found)
                return known
            else:
                self._name(found, lid)
        return found

    def _make(self, account_id: str, phone: str | None) -> Person:
        person = Person(self.make_id(), account_id, phone, "", is_new=True)
        self.people[person.id] = person
        return person

    def _give_phone(self, person: Person, phone: str) -> None:
        if person.phone is None:
            person.phone, person.changed = phone, True
        for spelling in spellings(phone):
            name = make_chat_id(spelling)
            if (person.account_id, name) not in self.names:
                self._name(person, name)

    def _name(self, person: Person, name: str) -> None:
        key = (person.account_id, name)
        before = self.names.get(key)
        if before is None or key in self.new_names:
            self.new_names[key] = person.id
        else:
            self.moved_names[key] = person.id
        self.names[key] = person.id

    def _merge(self, winner: Person, loser: Person) -> None:
        if not winner.name and loser.name:
            winner.name, winner.changed = loser.name, True
        self._became[loser.id] = winner.id
        if loser.is_new:
            del self.people[loser.id]
        else:
            self.merges.append(Merge(winner.account_id, loser.id, winner.id))
