"""A campaign in this API's words: one text for many numbers, each with the values that the account has of it."""

import hashlib
from collections.abc import Mapping
from functools import partial

import orjson

from campaigns.doors.messaging.account_schemas import NumbersCampaign, QueuedCampaign
from campaigns.doors.messaging.people import read_people
from campaigns.doors.renaming import renamed
from campaigns.doors.singles import Singles
from campaigns.personalization.service import Personalizer
from campaigns.sending.models import Priority
from campaigns.sending.schemas import SendRequest
from campaigns.sending.service import CampaignService
from gateway.auth.access import Caller
from gateway.db import Database
from gateway.errors import FieldError, NotConfigured, ValidationFailed
from gateway.idempotency.keys import Key
from sessions.schemas import in_utc

_NAMES: Mapping[str, str] = {"template": "message_template", "recipients": "phone_numbers"}
_PRIORITIES = list(Priority)


class Campaigns:
    """Submits campaigns. `personalizer` is None where no service for it is set up."""

    def __init__(
        self, db: Database, singles: Singles, campaigns: CampaignService, personalizer: Personalizer | None
    ) -> None:
        self._db = db
        self._singles = singles
        self._campaigns = campaigns
        self._personalizer = personalizer

    async def send(self, caller: Caller, body: NumbersCampaign, idempotency_key: str | None) -> QueuedCampaign:
        """Queue a campaign through all numbers of the account; bad numbers are told, and the others go.

        Raises:
            NotConfigured: it was to be personalized by a service, and there is none.
            SessionNotConnected: the account has no number to send from.
            ValidationFailed: a field is wrong, no number is a good one, or the key was used for another request.
            InsufficientBalance, DailyLimitReached: the client may not send so much now.
        """
        personalizer = self._wanted(body)
        key = None
        if idempotency_key:  # of what was asked: which numbers are connected may be another time otherwise
            digest = hashlib.sha256(orjson.dumps(body.model_dump(mode="json"))).hexdigest()
            key = Key(f"messaging:{caller.account_id}", idempotency_key, digest)
        try:
            first, *others = await self._singles.numbers(caller)
            people = await read_people(self._db, caller.account_id, body, self._campaigns.phones.read)
            request = SendRequest(
                sender_number=first,
                sender_numbers=others,
                recipients=people.recipients,
                template=body.message_template,
                variables=body.variables,
                name=body.campaign_name,
                priority=body.priority,
                queue_if_offline=True,
                on_bad_row="partial",
            )
            revise = partial(personalizer.personalize, people=people.told) if personalizer else None
            answer = await self._campaigns.submit(caller, request, key, revise=revise)
        except ValidationFailed as error:
            raise renamed(error, _NAMES) from None
        campaign, opted_out = answer["campaign"], answer["opted_out_count"]
        return QueuedCampaign(
            campaign_id=campaign["id"],
            campaign_name=campaign["name"],
            status=campaign["state"],
            priority=_PRIORITIES[campaign["priority"]],
            total=len(body.phone_numbers),
            queued=campaign["total"] - opted_out,
            duplicates=answer["duplicates"],
            invalid_count=len(body.phone_numbers) - answer["duplicates"] - campaign["total"],
            invalid=answer["invalid"],
            opted_out_count=opted_out,
            opted_out=answer["opted_out"],
            estimated_finish=in_utc(answer["finish_at"]),
            personalization=answer.get("personalization") if body.use_ai_personalization else None,
        )

    def _wanted(self, body: NumbersCampaign) -> Personalizer | None:
        """Who personalizes it, if that is asked for and can be; raises `NotConfigured` and `ValidationFailed`."""
        if not body.use_ai_personalization:
            return None
        if self._personalizer is None:
            message = "no service for personalization is set up (personalization.url)"
            raise NotConfigured(message, errors=[FieldError("use_ai_personalization", message, "not_configured")])
        self._personalizer.require_room("phone_numbers", len(body.phone_numbers))
        return self._personalizer
