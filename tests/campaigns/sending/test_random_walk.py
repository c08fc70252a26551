"""Random walks over the queue: whatever happens in whatever order, the books stay true and each message goes once."""

import random
from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import TypeVar

import pytest

from campaigns.sending.models import CAMPAIGN_TRANSITIONS, MESSAGE_TRANSITIONS, CampaignState, MessageState
from campaigns.sending.outcomes import Claim, Outcome, QueueSettings, Result, Task
from gateway.errors import WrongState
from tests.campaigns.sending.conftest import OpenBooks
from tests.harness.books import Books
from tests.harness.world import recipient_numbers

pytestmark = pytest.mark.virtual_time

S = TypeVar("S")
SENDERS = 3
STEPS = 50
REPLICAS = [QueueSettings(replica="one"), QueueSettings(replica="two")]
TAKEN_ENDS = [Result.SENT] * 3 + [Result.UNCERTAIN]
NOT_TAKEN_ENDS = [Result.FAILED, Result.RETRY, Result.LATER, Result.RELEASED, Result.UNCERTAIN]
LOOK_ENDS = [Result.SENT, Result.ASK_AGAIN, Result.ABSENT, Result.UNCONFIRMED, Result.UNCERTAIN]


class Walk:
    """One random history. `delivered` is what WhatsApp has, by message."""

    def __init__(self, books: Books, seed: int) -> None:
        self.books = books
        self.rng = random.Random(seed)
        self.flying: dict[str, list[Claim]] = defaultdict(list)
        self.delivered: Counter[str] = Counter()
        self.took: set[tuple[str, int]] = set()
        self.campaigns: list[str] = []
        self.message_states: dict[str, MessageState] = {}
        self.campaign_states: dict[str, CampaignState] = {}

    async def step(self) -> None:
        """Do something, and look whether all is still true."""
        await self.rng.choice(
            [self.turn] * 8
            + [self.rest] * 4
            + [self.submit, self.steer, self.fall, self.receipt, self.delays, self.die]
        )()
        await self.books.check()
        await self.check_transitions()

    async def turn(self) -> None:
        """A replica settles some of its claims and takes more."""
        replica = self.rng.choice(REPLICAS)
        flying = self.flying[replica.replica]
        ending = [claim for claim in flying if self.rng.random() < 0.7]
        self.flying[replica.replica] = [claim for claim in flying if claim not in ending]
        outcomes = [(claim, self.end(claim)) for claim in ending]
        turn = await self.books.turn(outcomes, by=replica, renewals=self.flying[replica.replica])
        lanes = [claim.sender_id for claim in turn.claims]
        assert len(lanes) == len(set(lanes))
        self.flying[replica.replica] += turn.claims
        for claim in turn.claims:
            if claim.task is Task.SEND and self.rng.random() < 0.6:
                self.deliver(claim)

    def deliver(self, claim: Claim) -> None:
        """WhatsApp takes a message, at once: what is taken later than that is the hold's affair, not the queue's."""
        self.delivered[claim.message_id] += 1
        self.took.add((claim.message_id, claim.epoch))

    def end(self, claim: Claim) -> Outcome:
        """How a claim ends. Whether an uncertain one was delivered is known to nobody but us."""
        if claim.task is Task.SEND:
            taken = (claim.message_id, claim.epoch) in self.took
            result = self.rng.choice(TAKEN_ENDS if taken else NOT_TAKEN_ENDS)
        else:
            result = self.rng.choice(LOOK_ENDS)
            if result in (Result.SENT, Result.ABSENT):  # a look-up tells the truth
                result = Result.SENT if self.delivered[claim.message_id] else Result.ABSENT
        return self.books.outcome(result, wait_seconds=self.rng.uniform(0.0, 3.0), code="backoff")

    async def die(self) -> None:
        """A replica forgets what it holds."""
        self.flying.pop(self.rng.choice(REPLICAS).replica, None)

    async def rest(self) -> None:
        """Time passes; sometimes longer than a lease."""
        await self.books.rest(self.rng.choice([0.1, 0.5, 2.0, 6.0]))

    async def submit(self) -> None:
        """A new campaign."""
        senders = self.rng.sample(range(SENDERS), self.rng.randint(1, SENDERS))
        self.campaigns.append(
            await self.books.submit(
                recipient_numbers(self.rng.randint(1, 6)),
                senders=senders,
                rotation=self.rng.choice(["even", "even", "fastest"]),
                failover=self.rng.random() < 0.7,
                priority=self.rng.choice(["low", "normal", "urgent"]),
            )
        )

    async def steer(self) -> None:
        """Somebody pauses, resumes or cancels; what cannot be done is refused."""
        if self.campaigns:
            steering = self.books.steering
            action = self.rng.choice([steering.pause, steering.resume, steering.resume, steering.cancel])
            try:
                await action(self.rng.choice(self.campaigns), None)
            except WrongState:
                return

    async def fall(self) -> None:
        """A session falls, or one comes back."""
        await self.books.fall(self.rng.randrange(SENDERS), up=self.rng.random() < 0.6)

    async def receipt(self) -> None:
        """Receipts of what was delivered, in any order."""
        ids = [key for key, count in self.delivered.items() if count]
        wanted = self.rng.sample(ids, min(3, len(ids)))
        acks = {}
        for message_id in wanted:
            row = await self.books.message(message_id)
            acks[str(row.wa_id)] = self.rng.choice([0, 1, 2, 3])
        await self.books.receipts(acks)

    async def delays(self) -> None:
        """An admin changes the delays, for all or for one."""
        if self.rng.random() < 0.5:
            await self.books.delays.set(self.rng.choice([0.0, 0.5]), self.rng.choice([0.0, 0.0, 0.5]))
        elif self.campaigns:
            number = self.books.senders[(await self.books.campaign(self.campaigns[0])).turn % SENDERS]
            await self.books.delays.set_for(number, self.rng.choice([None, 0.2]))

    async def check_transitions(self) -> None:
        """Every state follows from the one before, perhaps over others between."""
        for campaign_id in self.campaigns:
            state = CampaignState((await self.books.campaign(campaign_id)).state)
            before = self.campaign_states.get(campaign_id, CampaignState.QUEUED)
            assert state is before or _leads_to(CAMPAIGN_TRANSITIONS, before, state)
            self.campaign_states[campaign_id] = state
            for row in await self.books.messages(campaign_id):
                known = self.message_states.get(row.id, MessageState.QUEUED)
                assert row.state == known or _leads_to(MESSAGE_TRANSITIONS, known, MessageState(row.state))
                self.message_states[row.id] = MessageState(row.state)

    async def bring_home(self) -> None:
        """All is well from now on: everything that can end, ends."""
        for index in range(SENDERS):
            await self.books.fall(index, up=True)
        await self.books.delays.set(0.0, 0.0)
        for campaign_id in self.campaigns:
            if (await self.books.campaign(campaign_id)).state == CampaignState.PAUSED:
                await self.books.steering.resume(campaign_id, None)
        for _ in range(40):
            for replica in REPLICAS:
                outcomes = [(claim, self.end_well(claim)) for claim in self.flying[replica.replica]]
                self.flying[replica.replica] = (await self.books.turn(outcomes, by=replica)).claims
                for claim in self.flying[replica.replica]:
                    if claim.task is Task.SEND:
                        self.deliver(claim)
            await self.books.rest(1.5)
        await self.books.check()

    def end_well(self, claim: Claim) -> Outcome:
        """As `end`, where nothing goes wrong any more."""
        if claim.task is Task.SEND:
            taken = (claim.message_id, claim.epoch) in self.took
            return self.books.outcome(Result.SENT if taken else Result.RELEASED)
        return self.books.outcome(Result.SENT if self.delivered[claim.message_id] else Result.ABSENT)


def _leads_to(transitions: Mapping[S, frozenset[S]], before: S, after: S) -> bool:
    """Whether one state can follow another in some steps."""
    seen, edge = {before}, {before}
    while edge:
        edge = set().union(*(transitions[state] for state in edge)) - seen
        seen |= edge
    return after in seen


@pytest.mark.parametrize("seed", range(3))
async def test_whatever_happens_the_books_stay_true_and_each_message_goes_once(
    open_books: OpenBooks, seed: int
) -> None:
    books = await open_books(SENDERS)
    walk = Walk(books, seed)
    await walk.submit()
    for _ in range(STEPS):
        await walk.step()
    await walk.bring_home()
    assert max(walk.delivered.values(), default=0) <= 1
    for campaign_id in walk.campaigns:
        row = await books.campaign(campaign_id)
        assert (row.n_queued, row.n_sending, row.in_flight) == (0, 0, 0)
        assert row.state not in ("queued", "running", "paused")
        for one in await books.messages(campaign_id):
            assert walk.delivered[one.id] == 1 or one.state in ("failed", "cancelled", "unconfirmed")
