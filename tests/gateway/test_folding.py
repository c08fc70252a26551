"""Folded texts: one form for what people take for the same, the same order and the same finds on both databases."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Column, Integer, MetaData, Table, insert, select

from gateway.db import Database
from gateway.folding import FOLDED, contains, fold


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("ZOË  Ada", "zoë ada"),
        ("zoe\u0308", "ZOË"),
        ("Straße", "STRASSE"),
        ("ΣΊΣΥΦΟΣ", "σίσυφος"),
        (" padded\tand\nbroken ", "Padded and broken"),
        ("ДНІПРО", "дніпро"),
    ],
)
def test_what_differs_in_case_or_spaces_is_one(one: str, other: str) -> None:
    assert fold(one) == fold(other)


@given(st.text())
def test_folding_twice_changes_nothing_more(text: str) -> None:
    assert fold(fold(text)) == fold(text)


@given(st.text())
def test_case_makes_no_difference(text: str) -> None:
    assert fold(text.casefold()) == fold(text)


async def test_both_databases_find_and_sort_the_same(database_url: str) -> None:
    """Against Python's own `in` and `sorted`."""
    words = ["éclair", "eclair", "zebra", "äpfel", "apfel", "a_b", "a%b", "a/b", "acb", "ß", "😀 smile", "日本", "σ"]
    words = [fold(word) for word in words]
    db = Database(database_url)
    table = Table("folded_of_a_test", MetaData(), Column("id", Integer, primary_key=True), Column("word", FOLDED))
    async with db.alter() as tx:
        await tx.run_sync(table.create)
    async with db.write() as tx:
        await tx.execute(insert(table), [{"word": word} for word in words])
    async with db.read() as connection:
        ordered = select(table.c.word).order_by(table.c.word)
        assert (await connection.execute(ordered)).scalars().all() == sorted(words)
        for needle in map(fold, ("a", "%", "_", "/", "a_", "é", "É", "ss", "A", "本", "\\", "'")):
            found = (await connection.execute(ordered.where(contains(table.c.word, needle)))).scalars().all()
            assert found == [word for word in sorted(words) if needle in word], needle
    await db.close()
