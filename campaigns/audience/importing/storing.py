"""One slice of a list becomes recipients, members of groups, rows of the report and counts, in one transaction.

Numbers are stored in ascending order, so that two imports of one account do not wait for each other in a circle.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import orjson
from sqlalchemy.ext.asyncio import AsyncConnection

from campaigns.audience.group_queries import add_members, find_group_of_name, insert_group
from campaigns.audience.importing import queries
from campaigns.audience.importing.models import RowFate
from campaigns.audience.importing.reading import Judged
from campaigns.audience.queries import lock_groups
from campaigns.audience.variables import GivenVariable, check_variables
from campaigns.sending.rendering import fold_name
from gateway.db import AnyRow, read_now
from gateway.folding import fold
from gateway.ids import make_ids

_IS_THERE = "there is a recipient with this number already"


class ImportStopped(Exception):
    """It cannot go on; what was stored stays. The message says why."""


@dataclass(frozen=True, slots=True)
class Job:
    """What an import does with each slice."""

    import_id: str
    account_id: str
    group_ids: Sequence[str]
    group_name: str | None
    dry_run: bool
    update: bool


async def prepare(tx: AsyncConnection, job: Job) -> Job:
    """Make the group that has been named, where there is none; gives the job with it."""
    if job.group_name is None or job.dry_run:
        return job
    name, folded = job.group_name, fold(job.group_name)
    row = await find_group_of_name(tx, job.account_id, folded)
    if row is None:
        now = await read_now(tx)
        values = {"id": make_ids(now, 1)[0], "account_id": job.account_id, "name": name, "folded_name": folded}
        row = await insert_group(tx, {**values, "created_at": now, "updated_at": now})
    if row is None:  # somebody else was faster
        row = await find_group_of_name(tx, job.account_id, folded)
    if row is None:
        raise ImportStopped("the group that the recipients were to be put into was deleted at this moment")
    return replace(job, group_ids=list(dict.fromkeys([*job.group_ids, str(row.id)])))


async def store_slice(tx: AsyncConnection, job: Job, rows: Sequence[Judged]) -> None:
    """Store what can be stored of these rows, and what became of each.

    Raises:
        ImportStopped: a group was deleted meanwhile, or the import was given up by others.
    """
    now = await read_now(tx)
    if job.group_ids and len(await lock_groups(tx, job.group_ids, job.account_id)) < len(job.group_ids):
        raise ImportStopped("a group that the recipients were put into was deleted meanwhile")
    people = sorted((row for row in rows if not row.fate), key=lambda row: row.phone)
    told = await (_foresee(tx, job, people) if job.dry_run else _store(tx, job, people, now))
    lines = [_line(row, told) for row in rows]
    await queries.insert_rows(tx, job.import_id, lines)
    counts = Counter(str(fate) for _, fate, *_ in lines)
    if not await queries.add_counts(tx, job.import_id, counts, now):
        raise ImportStopped("it was given up, because nothing was heard of it")


def _line(row: Judged, told: Mapping[str, tuple[RowFate, str]]) -> tuple[int, str, str, str, str]:
    """A row of the report."""
    fate, reason = (row.fate, row.reason) if row.fate else told[row.phone]
    shown = f"+{row.phone}" if row.grade or fate == RowFate.DUPLICATE else row.phone
    return row.line, fate, shown, row.name, reason


async def _foresee(tx: AsyncConnection, job: Job, people: Sequence[Judged]) -> dict[str, tuple[RowFate, str]]:
    """What would become of people, by their digits."""
    found = await queries.find_people(tx, job.account_id, [row.phone for row in people], lock=False)
    told: dict[str, tuple[RowFate, str]] = {}
    for row in people:
        if row.phone not in found:
            told[row.phone] = RowFate.CREATED, row.reason
        elif not job.update:
            told[row.phone] = RowFate.EXISTING, _IS_THERE
        else:
            told[row.phone], _ = _merge(row, found[row.phone])
    return told


async def _store(tx: AsyncConnection, job: Job, people: Sequence[Judged], now: float) -> dict[str, tuple[RowFate, str]]:
    """Store people; tells what became of them, by their digits."""
    new = [
        _values(one, row.phone, row.grade, row.name or f"+{row.phone}", row.variables)
        for one, row in zip(make_ids(now, len(people)), people, strict=True)
    ]
    ids = await queries.insert_people(tx, job.account_id, now, new)
    told = {row.phone: (RowFate.CREATED, row.reason) for row in people if row.phone in ids}
    others = [row for row in people if row.phone not in ids]
    # the lock is for the groups too: a member must not go before they are put in
    found = await queries.find_people(tx, job.account_id, [row.phone for row in others], lock=True) if others else {}
    changed = []
    for row in others:
        there = found.get(row.phone)
        if there is None or not job.update:
            told[row.phone] = RowFate.EXISTING, _IS_THERE if there else "it was there, and was deleted at this moment"
            continue
        told[row.phone], values = _merge(row, there)
        if values:
            changed.append(values)
    if changed:
        await queries.update_people(tx, now, changed)
    members = [*ids.values(), *(row.id for row in found.values() if told[row.phone][0] != RowFate.INVALID)]
    for group_id in job.group_ids:
        await add_members(tx, group_id, members)
    return told


def _merge(row: Judged, there: AnyRow) -> tuple[tuple[RowFate, str], Sequence[Any]]:
    """What is known of somebody, with what the file says put over it; values that it does not name stay.

    Together they can be too much for one recipient: then there are no values, and the reason.
    """
    named = {fold_name(name) for name in row.variables}
    kept = {name: value for name, value in orjson.loads(there.variables).items() if fold_name(name) not in named}
    variables = kept | dict(row.variables)
    errors = check_variables([GivenVariable(name, name, value) for name, value in variables.items()])
    if errors:
        return (RowFate.INVALID, f"with the variables that are there already: {errors[0].message}"), ()
    name = row.name or there.name
    return (RowFate.UPDATED, row.reason), _values(there.id, row.phone, row.grade, name, variables)


def _values(one: str, phone: str, grade: str, name: str, variables: Mapping[str, Any]) -> Sequence[Any]:
    """A row for `queries.insert_people`."""
    return one, phone, grade, name, f"{fold(name)}\n{phone}", orjson.dumps(variables).decode()
