"""The one message that somebody who has opted out still gets: that it was heard."""

import structlog

from campaigns.audience.optouts.listening import Reaction, Said
from campaigns.sending.models import Priority, Purpose
from campaigns.sending.schemas import SendRequest
from campaigns.sending.service import CampaignService
from gateway.auth.access import Caller
from gateway.errors import GatewayError

log = structlog.get_logger()

NAME = "Opt-out confirmed"


class Confirmations:
    """Has opt-outs confirmed by the number that the person wrote to."""

    def __init__(self, campaigns: CampaignService, text: str) -> None:
        self._campaigns = campaigns
        self._text = text

    async def send(self, said: Said, reaction: Reaction) -> None:
        """Queue the confirmation, where one is to be sent: urgent, and only after the opt-out was committed.

        One that cannot be queued is let go: the opt-out counts without it.
        """
        if not reaction.confirm or not self._text:
            return
        request = SendRequest(
            sender_number=f"+{said.sender_number}",
            recipients=[f"+{said.phone}"],
            template=self._text,
            name=NAME,
            priority=Priority.URGENT,
            queue_if_offline=True,
        )
        caller = Caller(account_id=said.account_id, is_admin=True)  # on behalf of the sender's account, whoever it is
        try:
            await self._campaigns.submit(caller, request, purpose=Purpose.CONFIRMATION)
        except GatewayError as error:
            log.error("opt_out_not_confirmed", account_id=said.account_id, error=error.detail)
