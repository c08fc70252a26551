"""Who is who: numbers and hidden ids that are told together are one person."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from campaigns.inbox.identities import Directory, Merge, Person

ACCOUNT, PHONE, OTHER = "acme", "447700900100", "447700900101"
LID, OTHER_LID = "100000000000001@lid", "100000000000002@lid"
BRAZILIAN, OLD_BRAZILIAN = "5511961234567", "551161234567"


def directory() -> Directory:
    """Nobody is known."""
    ids = itertools.count(1)
    return Directory(make_id=lambda: f"new-{next(ids)}")


def knowing(*people: tuple[str, str | None, list[str]]) -> Directory:
    """A directory of stored contacts: id, number and names."""
    book = directory()
    for contact_id, phone, names in people:
        for name in names:
            book.know(Person(contact_id, ACCOUNT, phone, ""), name)
    return book


def test_somebody_new_gets_all_their_names() -> None:
    book = directory()
    person = book.person(ACCOUNT, PHONE, [LID], "Ada")
    assert (person.phone, person.name, person.is_new) == (PHONE, "Ada", True)
    assert set(book.new_names) == {(ACCOUNT, f"{PHONE}@c.us"), (ACCOUNT, LID)}


def test_who_is_known_by_one_name_is_met_under_it_again() -> None:
    book = knowing(("a", PHONE, [f"{PHONE}@c.us", LID]))
    assert book.person(ACCOUNT, PHONE, []).id == book.person(ACCOUNT, None, [LID]).id == "a"
    assert (book.new_names, book.moved_names, book.merges) == ({}, {}, [])


def test_the_names_of_one_account_say_nothing_of_another() -> None:
    book = knowing(("a", PHONE, [f"{PHONE}@c.us"]))
    assert book.person("another", PHONE, []).id != "a"


def test_a_hidden_id_alone_is_somebody_without_a_number_until_it_is_told() -> None:
    book = directory()
    hidden = book.person(ACCOUNT, None, [LID])
    assert hidden.phone is None
    told = book.person(ACCOUNT, PHONE, [LID])
    assert (told.id, told.phone) == (hidden.id, PHONE)


def test_two_contacts_that_turn_out_to_be_one_are_merged_into_the_one_with_the_number() -> None:
    book = knowing(("number", PHONE, [f"{PHONE}@c.us"]), ("hidden", None, [LID]))
    assert book.person(ACCOUNT, PHONE, [LID]).id == "number"
    assert book.merges == [Merge(ACCOUNT, "hidden", "number")]
    assert book.find("hidden").id == "number"
    assert book.person(ACCOUNT, None, [LID]).id == "number"


def test_a_message_that_came_under_both_names_merges_too() -> None:
    book = knowing(("number", PHONE, [f"{PHONE}@c.us"]), ("hidden", None, [LID]))
    assert book.same(book.find("hidden"), book.find("number")).id == "number"
    assert book.merges == [Merge(ACCOUNT, "hidden", "number")]


def test_two_numbers_are_never_one_person() -> None:
    book = knowing(("one", PHONE, [f"{PHONE}@c.us", LID]), ("two", OTHER, [f"{OTHER}@c.us"]))
    assert book.same(book.find("one"), book.find("two")).id == "one"
    assert book.person(ACCOUNT, OTHER, [LID]).id == "two"
    assert book.merges == []
    assert book.moved_names == {(ACCOUNT, LID): "two"}, "the hidden id belongs to whom it was told of last"


def test_a_brazilian_is_one_person_with_and_without_the_ninth_digit() -> None:
    book = directory()
    assert book.person(ACCOUNT, OLD_BRAZILIAN, []).id == book.person(ACCOUNT, BRAZILIAN, []).id


def test_a_name_is_taken_over_when_it_changes_and_kept_when_none_is_told() -> None:
    book = knowing(("a", PHONE, [f"{PHONE}@c.us"]))
    assert book.person(ACCOUNT, PHONE, [], "Ada").changed
    assert book.person(ACCOUNT, PHONE, []).name == "Ada"


_TOLD = st.tuples(st.sampled_from([None, PHONE, OTHER]), st.sampled_from([None, LID, OTHER_LID])).filter(any)


@given(st.lists(_TOLD, max_size=12))
def test_whatever_is_told_in_whatever_order_each_number_is_one_contact(
    told: list[tuple[str | None, str | None]],
) -> None:
    book = directory()
    for phone, lid in told:
        person = book.person(ACCOUNT, phone, [lid] if lid else [])
        assert phone in (None, person.phone)
    phones = [person.phone for person in book.people.values() if person.phone]
    assert len(phones) == len(set(phones))
    for key, person_id in book.names.items():
        assert book.find(person_id).id in book.people, key
