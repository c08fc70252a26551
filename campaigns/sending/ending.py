"""How a campaign that has nothing left to send has ended, by what became of its messages. Pure."""

from campaigns.sending.models import CampaignState

ENDED_STATES = (CampaignState.COMPLETED, CampaignState.COMPLETED_WITH_ERRORS, CampaignState.FAILED)
"""What `end_state` may give; a receipt that comes later may change one into another."""


def end_state(*, failed: int, skipped: int, unconfirmed: int, total: int) -> CampaignState:
    """The last word on a campaign of `total` messages.

    Skipped messages are no errors, unless there is nothing else but failed ones: then nobody got anything.
    """
    if failed + skipped == total:
        return CampaignState.FAILED
    if failed + unconfirmed:
        return CampaignState.COMPLETED_WITH_ERRORS
    return CampaignState.COMPLETED
