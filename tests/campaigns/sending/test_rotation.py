"""Whose turn it is, and what a lane takes."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from campaigns.sending.rotation import Offer, choose, deal, look_again_at, turn_of

ables = st.lists(st.booleans(), min_size=1, max_size=8)


@given(ables, st.integers(0, 20), st.integers(0, 40))
def test_recipients_are_dealt_strictly_in_turn_and_evenly(able: list[bool], turn: int, count: int) -> None:
    dealt, after = deal(range(count), turn, able)
    fit = [position for position, is_able in enumerate(able) if is_able]
    if not fit:
        assert (dealt, after) == ([], turn)
        return
    assert [item for item, _ in dealt] == list(range(count))
    circle = sorted(fit, key=lambda position: (position - turn) % len(able))
    assert [position for _, position in dealt] == [circle[index % len(fit)] for index in range(count)]
    shares = Counter(dict.fromkeys(fit, 0))
    shares.update(position for _, position in dealt)
    assert max(shares.values()) - min(shares.values()) <= 1
    assert set(shares) == set(fit)


@given(ables, st.integers(0, 7), st.lists(st.integers(0, 9), max_size=6))
def test_dealing_in_several_rounds_is_dealing_at_once(able: list[bool], turn: int, rounds: list[int]) -> None:
    at_once, end = deal(range(sum(rounds)), turn, able)
    in_rounds: list[int] = []
    for count in rounds:
        dealt, turn = deal(range(count), turn, able)
        in_rounds += [position for _, position in dealt]
    assert in_rounds == [position for _, position in at_once]
    assert turn == end


@given(ables, st.integers(0, 20))
def test_without_failover_nobody_is_stepped_over(able: list[bool], turn: int) -> None:
    assert turn_of(turn, able, failover=False) == turn % len(able)


@given(ables, st.integers(0, 20))
def test_the_turn_goes_to_the_next_who_is_able(able: list[bool], turn: int) -> None:
    position = turn_of(turn, able)
    assert (position is None) is not any(able)
    if position is not None:
        assert able[position]
        steps = (position - turn) % len(able)
        assert not any(able[(turn + step) % len(able)] for step in range(steps))


offers = st.lists(
    st.builds(
        Offer,
        campaign_id=st.uuids().map(str),
        sender_id=st.just(1),
        priority=st.integers(0, 3),
        served_at=st.floats(0, 100),
        goes_at=st.none() | st.floats(0, 100),
    ),
    max_size=8,
)


@given(offers, st.floats(0, 100))
def test_a_lane_takes_the_highest_priority_then_the_least_recently_served(made: list[Offer], horizon: float) -> None:
    best = choose(made, horizon)
    ready = [offer for offer in made if offer.goes_at is not None and offer.goes_at <= horizon]
    assert (best is None) is (not ready)
    if best is not None:
        assert best in ready
        assert best.priority == max(offer.priority for offer in ready)
        assert best.served_at == min(offer.served_at for offer in ready if offer.priority == best.priority)


@given(offers, st.floats(0, 100))
def test_a_lane_that_takes_nothing_is_looked_at_before_anything_could_go(made: list[Offer], now: float) -> None:
    again = look_again_at(made, now, 1.0, 1e12)
    assert again > now or not made
    coming = [offer.goes_at for offer in made if offer.goes_at is not None and offer.goes_at > now]
    assert all(again <= at for at in coming)
    assert (again == 1e12) is (not made)
