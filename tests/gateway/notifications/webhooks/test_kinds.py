"""What can be asked for is what is told."""

from pathlib import Path

from campaigns.audience.optouts.storing import OPTED_IN_EVENT, OPTED_OUT_EVENT
from campaigns.inbox.telling import RECEIVED
from campaigns.sending import telling
from gateway.notifications.webhooks.kinds import EventFamily, EventKind
from sessions.history import TOLD

PAGE = Path(__file__).parents[4] / "docs" / "webhooks.md"


def test_every_event_that_is_told_can_be_asked_for() -> None:
    told = {telling.PROCESSING, telling.SENT, telling.FAILED, telling.COMPLETED, *TOLD.values()}
    told |= {RECEIVED, OPTED_OUT_EVENT, OPTED_IN_EVENT}
    own = {"*", "message.scheduled", EventKind.WEBHOOK_TEST, EventKind.WEBHOOK_DISABLED}
    assert {kind.value for kind in EventKind} == told | own


def test_the_page_names_every_kind() -> None:
    page = PAGE.read_text(encoding="utf-8")
    for kind in EventKind:
        assert f"`{kind}`" in page or f"`.{kind.rpartition('.')[2]}`" in page or kind is EventKind.ANY, kind


def test_a_family_is_all_kinds_that_begin_like_it_and_each_kind_has_one() -> None:
    found = [kind for family in EventFamily for kind in family.kinds]
    assert sorted(found) == sorted(kind for kind in EventKind if kind is not EventKind.ANY)
    assert EventFamily.CONTACT.kinds == [EventKind.CONTACT_OPTED_OUT, EventKind.CONTACT_OPTED_IN]
