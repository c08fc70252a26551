"""The bus carries news to whoever asked for it."""

import pytest
from structlog.testing import CapturingLogger

import gateway.events
from gateway.events import CampaignHalted, DelaysChanged, EventBus, WorkAdded


def test_an_event_goes_to_the_subscribers_of_its_type_in_their_order() -> None:
    bus, heard = EventBus(), list[str]()
    bus.subscribe(CampaignHalted, lambda event: heard.append(f"first {event.campaign_id}"))
    bus.subscribe(CampaignHalted, lambda event: heard.append(f"second {event.campaign_id}"))
    bus.subscribe(DelaysChanged, lambda _: heard.append("delays"))
    bus.publish(CampaignHalted("7"))
    assert heard == ["first 7", "second 7"]


def test_an_event_that_nobody_asked_for_is_no_error() -> None:
    EventBus().publish(WorkAdded())


def test_a_subscriber_that_fails_does_not_stop_the_others_and_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    log = CapturingLogger()
    monkeypatch.setattr(gateway.events, "log", log)
    bus, heard = EventBus(), list[str]()

    def fail(_: WorkAdded) -> None:
        raise RuntimeError("no")

    bus.subscribe(WorkAdded, fail)
    bus.subscribe(WorkAdded, lambda _: heard.append("second"))
    bus.publish(WorkAdded())
    assert heard == ["second"]
    assert [(call.method_name, call.args) for call in log.calls] == [("exception", ("subscriber_failed",))]
