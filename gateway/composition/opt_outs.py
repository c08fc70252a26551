"""What listens for opt-outs, keeps them, and confirms them."""

from dataclasses import dataclass

from campaigns.audience.optouts.importing import SuppressionImport
from campaigns.audience.optouts.keywords import Keywords
from campaigns.audience.optouts.listening import Listening
from campaigns.audience.optouts.service import SuppressionService
from campaigns.audience.optouts.stops import Stops
from campaigns.inbox.wishes import Wishes
from campaigns.sending.confirming import Confirmations
from campaigns.sending.service import CampaignService
from gateway.auth.access import PhoneReader
from gateway.db import Database
from gateway.settings import Settings


@dataclass(frozen=True, slots=True)
class OptOuts:
    """`listening` hears them in what people write, and `confirmations` answers those that are to be answered.

    `service` and `imports` keep the list for people and programs.
    """

    stops: Stops
    service: SuppressionService
    imports: SuppressionImport
    listening: Listening
    confirmations: Confirmations

    @property
    def wishes(self) -> Wishes:
        """Both, for who takes in what people write."""
        return Wishes(self.listening.hear, self.confirmations.send)


def build_opt_outs(
    settings: Settings, db: Database, phones: PhoneReader, stops: Stops, campaigns: CampaignService
) -> OptOuts:
    """The parts around opt-outs."""
    words = settings.opt_out
    text = words.confirmation.strip()
    return OptOuts(
        stops=stops,
        service=SuppressionService(db, phones, stops),
        imports=SuppressionImport(
            db,
            stops,
            settings.database.data_folder / "imports",
            settings.phone,
            max_rows=settings.limits.recipients_per_import,
        ),
        listening=Listening(Keywords(words.stop_words, words.start_words), stops, confirms=bool(text)),
        confirmations=Confirmations(campaigns, text),
    )
