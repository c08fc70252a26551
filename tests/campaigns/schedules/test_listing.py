"""Lists of schedules: pages and counts agree with what is there, and both are found in an index, on both databases."""

import itertools
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
from sqlalchemy import event, insert, text

from campaigns.audience.tables import recipient_group
from campaigns.schedules.following import schedule
from campaigns.schedules.listing import Filters, find_page
from campaigns.schedules.models import Schedule, ScheduleStatus
from campaigns.sending.models import Campaign
from campaigns.sending.tables import campaign
from campaigns.templates.queries import template
from gateway.db import Database
from gateway.ids import make_ids
from tests.harness.accounts import add_other_account

MANY = 3_000
FIRST = 1_000_000.0
LAST = FIRST + MANY * 60
TEMPLATES, GROUPS = make_ids(1.0, 4), make_ids(2.0, 3)
STATUSES = (*[ScheduleStatus.PENDING] * 7, ScheduleStatus.SENT, ScheduleStatus.CANCELLED)
ASKED: dict[str, dict[str, Any]] = {
    "all": {},
    "status": {"status": "sent"},
    "from": {"time_from": FIRST + 600},
    "until": {"time_to": LAST - 600},
    "most of the time": {"time_from": FIRST + 600, "time_to": LAST - 600},
    "little of the time": {"time_from": FIRST + MANY * 20, "time_to": FIRST + MANY * 30},
    "more than the time": {"time_from": FIRST - 600, "time_to": LAST + 600},
    "time and status": {"time_from": FIRST + 600, "time_to": LAST - 600, "status": "pending"},
    "template": {"template_id": TEMPLATES[0]},
    "template and status": {"template_id": TEMPLATES[0], "status": "pending"},
    "group": {"group_id": GROUPS[0]},
    "group and status": {"group_id": GROUPS[0], "status": "pending"},
    "group and time": {"group_id": GROUPS[0], "time_from": FIRST + 600},
    "template and group": {"template_id": TEMPLATES[0], "group_id": GROUPS[0]},
    "everything": {
        "template_id": TEMPLATES[0],
        "group_id": GROUPS[0],
        "status": "pending",
        "time_from": FIRST + 600,
        "time_to": LAST - 600,
    },
}


def account_of(n: int) -> str:
    """Every fifth is another account's."""
    return "other" if n % 5 == 4 else "local"


def row(n: int, schedule_id: str) -> dict[str, Any]:
    """One schedule of many, in no order of their times."""
    minute = (n * 1_777) % MANY
    return Schedule(
        campaign_id=schedule_id,
        account_id=account_of(n),
        template_id=TEMPLATES[n % 3 if n % 5 != 4 else 3],
        group_id=GROUPS[n % 2 if n % 5 != 4 else 2],
        title="T",
        group_name="G",
        status=STATUSES[n % len(STATUSES)],
        scheduled_time=FIRST + 60 * minute,
        minute=int(FIRST // 60) + minute,
        max_lateness=3600.0,
        created_at=1.0,
        created_by="local",
    ).model_dump()


ROWS = [row(n, schedule_id) for n, schedule_id in enumerate(make_ids(3.0, MANY))]


@pytest.fixture
async def db(database_url: str) -> AsyncIterator[Database]:
    """A database with many schedules of two accounts, which PostgreSQL knows."""
    database = Database(database_url)
    await add_other_account(database)
    async with database.write(bulk=True) as tx:
        stamps = {"created_at": 1.0, "updated_at": 1.0}
        for n, one in enumerate(TEMPLATES):
            owner = "other" if n == 3 else "local"
            texts = {"title": "T", "content": "c", "variables": "[]", "folded_title": "t", "folded_content": "c"}
            await tx.execute(insert(template).values(id=one, account_id=owner, **texts, **stamps))
        for n, one in enumerate(GROUPS):
            values = {"account_id": "other" if n == 2 else "local", "name": f"G{n}", "folded_name": f"g{n}"}
            await tx.execute(insert(recipient_group).values(id=one, **values, **stamps))
        await tx.execute(insert(campaign), [campaign_of(one) for one in ROWS])
        await tx.execute(insert(schedule), ROWS)
    if not database.is_sqlite:
        async with database.engine.connect() as plain:
            connection = await plain.execution_options(isolation_level="AUTOCOMMIT")
            await connection.execute(text("VACUUM ANALYZE schedule"))
    yield database
    await database.close()


def campaign_of(one: dict[str, Any]) -> dict[str, Any]:
    """The campaign of a schedule."""
    return Campaign(
        id=one["campaign_id"], account_id=one["account_id"], sender_number="", template="c", created_at=1.0
    ).model_dump()


def expected(account_id: str | None, asked: dict[str, Any]) -> list[str]:
    """The ids of a list, the latest first, found by looking at each."""
    found = [
        one
        for one in ROWS
        if account_id in (None, one["account_id"])
        and asked.get("template_id") in (None, one["template_id"])
        and asked.get("group_id") in (None, one["group_id"])
        and asked.get("status") in (None, one["status"])
        and asked.get("time_from", 0.0) <= one["scheduled_time"] < asked.get("time_to", LAST + 1e6)
    ]
    found.sort(key=lambda one: (one["scheduled_time"], one["campaign_id"]), reverse=True)
    return [one["campaign_id"] for one in found]


async def test_pages_and_counts_are_those_of_the_whole_list(db: Database) -> None:
    for account_id, (name, asked) in itertools.product(["local", "other", None], ASKED.items()):
        latest = expected(account_id, asked)
        total = len(latest)
        filters = Filters(account_id=account_id, **asked)
        for offset, descending in itertools.product([0, 7, total // 2, total - 13, total - 10, total], [True, False]):
            if offset < 0:
                continue
            async with db.read() as connection:
                page = await find_page(connection, filters, descending=descending, offset=offset, limit=10)
            whole = latest if descending else latest[::-1]
            assert page == (whole[offset : offset + 10], total), (account_id, name, offset, descending)


async def test_where_no_time_is_asked_for_there_is_nothing(db: Database) -> None:
    nothing = [(LAST, FIRST), (LAST + 60, LAST + 120), (FIRST, FIRST), (FIRST - 120, FIRST - 60)]
    async with db.read() as connection:
        for (time_from, time_to), offset in itertools.product(nothing, (0, 5)):
            filters = Filters(account_id="local", time_from=time_from, time_to=time_to)
            assert await find_page(connection, filters, descending=True, offset=offset, limit=10) == ([], 0)


async def plans(db: Database, filters: Filters, *, descending: bool, offset: int) -> list[str]:
    """How the database carries out each statement of a page, in its own words."""
    statements: list[tuple[str, Any]] = []

    def note(_c: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        if statement.startswith("SELECT"):
            statements.append((statement, parameters))

    async with db.read() as connection:
        event.listen(db.engine.sync_engine, "before_cursor_execute", note)
        await find_page(connection, filters, descending=descending, offset=offset, limit=20)
        event.remove(db.engine.sync_engine, "before_cursor_execute", note)
        explain = "EXPLAIN QUERY PLAN" if db.is_sqlite else "EXPLAIN"
        told = []
        for statement, parameters in statements:
            rows = (await connection.exec_driver_sql(f"{explain} {statement}", parameters)).all()
            told.append("\n".join(str(one.detail if db.is_sqlite else one[0]) for one in rows))
    return told


def about_schedules(plan: str) -> Sequence[str]:
    """The lines of a plan that look at schedules."""
    return [line for line in plan.splitlines() if " schedule " in f"{line} " or "ix_schedule" in line]


async def test_a_page_and_its_count_are_read_off_an_index_and_nothing_is_sorted(db: Database) -> None:
    how = "USING COVERING INDEX ix_schedule" if db.is_sqlite else "Index Only Scan"
    for (name, asked), descending, offset in itertools.product(ASKED.items(), [True, False], [0, 40]):
        told = await plans(db, Filters(account_id="local", **asked), descending=descending, offset=offset)
        assert len(told) >= 2, name
        for plan in told:
            assert "TEMP B-TREE" not in plan, (name, plan)
            assert "Sort" not in plan, (name, plan)
            looks = about_schedules(plan)
            assert looks, (name, plan)
            assert all(how in line for line in looks), (name, plan)


async def test_what_has_any_time_is_counted_in_a_small_index(db: Database) -> None:
    counted: list[tuple[dict[str, Any], str]] = [
        ({}, "account"),
        ({"status": "pending"}, "account"),
        ({"template_id": TEMPLATES[0]}, "both"),
        ({"group_id": GROUPS[0], "status": "pending"}, "group"),
        ({"template_id": TEMPLATES[0], "group_id": GROUPS[0], "status": "pending"}, "both"),
        ({"time_from": FIRST + 600}, "account"),
    ]
    for asked, index in counted:
        told = await plans(db, Filters(account_id="local", **asked), descending=True, offset=0)
        assert f"ix_schedule_{index}_count" in told[-1]
