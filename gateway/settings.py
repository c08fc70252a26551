"""Settings: `config.toml` with a sentence above every key, each key overridable by environment.

`GATEWAY_<SECTION>__<KEY>` wins over the file. An unknown key or a wrong type is a `SettingsError` that names
the key. Durations are seconds. Settings are read once, in the composition root, and passed on.
"""

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from phonenumbers import SUPPORTED_REGIONS
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    StringConstraints,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, EnvSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

ENV_PREFIX = "GATEWAY_"
Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Delay = Annotated[float, Field(ge=0, le=86_400, allow_inf_nan=False)]
LEAST_LATENESS, MOST_LATENESS = 10.0, 366 * 86_400.0
"""Bounds of how late a schedule may begin, in seconds."""
_URL = r"https?://[^\s/@?#]+(/[^\s?#]*)?"
HttpUrl = Annotated[str, StringConstraints(pattern=rf"^{_URL}$", strip_whitespace=True)]
OptionalHttpUrl = Annotated[str, StringConstraints(pattern=rf"^({_URL})?$", strip_whitespace=True)]
MOST_LINK_HOURS = 30 * 24.0
"""How long a link to a pairing may hold at most."""


Word = Annotated[str, StringConstraints(min_length=1, max_length=40)]
# fmt: off
STOP_WORDS = [
    "STOP", "STOP ALL", "STOPALL", "UNSUBSCRIBE", "OPT OUT", "OPTOUT",
    "ARRET", "DÉSABONNER", "DÉSINSCRIRE", "BAJA", "DARME DE BAJA", "PARAR", "SAIR", "DESCADASTRAR", "CANCELLAMI",
    "DISISCRIVIMI",
    "STOPP", "ABMELDEN", "AFMELDEN", "AVSLUTA", "LOPETA", "WYPISZ", "DUR", "ABONELİKTEN ÇIK", "BERHENTI",
    "СТОП", "ОТПИСАТЬСЯ", "ОТПИСКА", "ВІДПИСАТИСЯ", "توقف", "إيقاف", "الغاء الاشتراك", "הסר", "הסרה", "रोकें", "बंद करें",
    "停止", "退订", "退訂", "配信停止", "수신거부",
]
START_WORDS = [
    "START", "START ALL", "UNSTOP", "SUBSCRIBE", "OPT IN", "OPTIN",
    "DÉMARRER", "REPRENDRE", "ALTA", "INICIAR", "VOLTAR", "ISCRIVIMI",
    "ANMELDEN", "AANMELDEN", "BAŞLAT", "MULAI",
    "СТАРТ", "ПОДПИСАТЬСЯ", "ابدأ", "اشتراك", "התחל", "शुरू करें",
    "开始", "訂閱", "開始", "수신동의",
]
# fmt: on
CONFIRMATION = "You will not get any more messages from us. Send START if you want them again."


class SettingsError(Exception):
    """A setting is unknown, missing or of the wrong type; the message is one line naming the key."""


class Section(BaseModel):
    """A `[section]` of the file: a key that it does not know is refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ServerSettings(Section):
    """Where the gateway listens, and who may call it."""

    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=0, le=65_535)
    allowed_hosts: list[str] = []
    allowed_origins: list[str] = []
    max_body_bytes: int = Field(default=64 * 1024 * 1024, ge=1024)
    public_url: Annotated[
        str, StringConstraints(pattern=r"^(https?://[^\s/@?#]+(/[^\s?#]*)?)?$", strip_whitespace=True)
    ] = ""


class DatabaseSettings(Section):
    """Where the data lives."""

    url: str = "sqlite:///./data/gateway.db"
    data_folder: Path = Path("./data")
    notify: bool = True


class AuthSettings(Section):
    """Who may do what."""

    admin_token: SecretStr = SecretStr("")
    user_access: Literal["open", "token"] = "open"
    allow_open_on_network: bool = False
    jwt_secret: SecretStr = SecretStr("")
    access_token_seconds: int = Field(default=3600, ge=60, le=86_400)
    refresh_token_days: float = Field(default=30, gt=0, le=365, allow_inf_nan=False)

    @field_validator("jwt_secret")
    @classmethod
    def _refuse_short_secrets(cls, secret: SecretStr) -> SecretStr:
        if 0 < len(secret.get_secret_value().encode()) < 32:
            raise ValueError("is too easy to guess: use at least 32 random characters, or leave it empty")
        return secret

    @field_validator("admin_token")
    @classmethod
    def _refuse_guessable_tokens(cls, token: SecretStr) -> SecretStr:
        value = token.get_secret_value()
        if value and (len(value) < 16 or value.lower().startswith(("changeme", "change-me", "your"))):
            raise ValueError("is too easy to guess: use at least 16 random characters, or leave it empty")
        return token


class WahaServerSettings(Section):
    """One WAHA server."""

    name: str = Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_.-]+$")
    url: HttpUrl
    api_key: SecretStr = SecretStr("")
    capacity: int = Field(default=100, ge=1, le=100_000)


class WahaSettings(Section):
    """How we talk to WAHA, and how it tells us what happens."""

    events: Literal["websocket", "webhook"] = "websocket"
    webhook_url: Annotated[str, StringConstraints(pattern=r"^(https?://[^\s/]+(/\S*)?)?$", strip_whitespace=True)] = ""
    webhook_secret: SecretStr = SecretStr("")
    timeout_seconds: float = Field(default=150, gt=0, le=3600, allow_inf_nan=False)
    sweep_seconds: float = Field(default=10, gt=0, le=3600, allow_inf_nan=False)
    servers: list[WahaServerSettings] = []

    @field_validator("servers")
    @classmethod
    def _refuse_two_of_one_name(cls, servers: list[WahaServerSettings]) -> list[WahaServerSettings]:
        names = [server.name for server in servers]
        if len(set(names)) < len(names):
            raise ValueError("two servers have the same name")
        return servers

    @field_validator("webhook_secret")
    @classmethod
    def _refuse_short_secrets(cls, secret: SecretStr) -> SecretStr:
        if 0 < len(secret.get_secret_value()) < 16:
            raise ValueError("is too easy to guess: use at least 16 random characters")
        return secret

    @model_validator(mode="after")
    def _need_what_webhooks_need(self) -> Self:
        if self.events == "webhook" and not (self.webhook_url and self.webhook_secret.get_secret_value()):
            raise ValueError('events = "webhook" needs webhook_url and webhook_secret')
        return self


class SessionsSettings(Section):
    """How long a session lives without activity, when it is pinged and warned about, and how long links to it hold."""

    keepalive_days: float = Field(default=12, gt=0, le=365)
    expiry_days: float = Field(default=14, gt=0, le=365)
    warn_days: float = Field(default=2, ge=0, le=365)
    pair_link_hours: float = Field(default=24, gt=0, le=MOST_LINK_HOURS, allow_inf_nan=False)

    @model_validator(mode="after")
    def _refuse_a_ping_after_the_end(self) -> Self:
        if self.keepalive_days >= self.expiry_days:
            raise ValueError("keepalive_days must be less than expiry_days")
        return self


class DispatchSettings(Section):
    """How fast messages leave; the two delays only seed the database at first start."""

    message_delay: Delay = 2
    sender_switch_delay: Delay = 5
    jitter: Delay = 0
    max_attempts: int = Field(default=5, ge=1, le=100)
    hold_seconds: Seconds = 0
    lease_seconds: float = Field(default=5, ge=0.5, le=300)
    daily_cap: int = Field(default=0, ge=0, le=1_000_000)
    check_numbers: Literal["off", "brazil", "all"] = "brazil"


class PhoneSettings(Section):
    """How phone numbers are read."""

    default_region: str = Field(default="", pattern=r"^([A-Z]{2})?$")
    strict: bool = False

    @field_validator("default_region")
    @classmethod
    def _refuse_unknown_regions(cls, region: str) -> str:
        if region and region not in SUPPORTED_REGIONS:
            raise ValueError("is not a region of two letters, such as FR")
        return region


class MediaSettings(Section):
    """What may be fetched from the addresses that users give us, and what may be uploaded."""

    # as base64 the largest still fits into the 50 MB of a request that WAHA reads
    max_bytes: int = Field(default=16 * 1024 * 1024, ge=1, le=36 * 1024 * 1024)
    upload_max_bytes: int = Field(default=15 * 1024 * 1024, ge=1, le=36 * 1024 * 1024)
    timeout_seconds: float = Field(default=30, gt=0, le=600)
    allow_private_addresses: bool = False


class WebhooksSettings(Section):
    """Where events may be sent to."""

    allow_private_addresses: bool = False


class SchedulesSettings(Section):
    """How schedules begin."""

    max_lateness: float = Field(default=3600, ge=LEAST_LATENESS, le=MOST_LATENESS)


class InboxSettings(Section):
    """What people write to us."""

    reply_days: float = Field(default=7, gt=0, le=365, allow_inf_nan=False)


class OptOutSettings(Section):
    """The words by which people stop messages and start them again, and what they are told."""

    stop_words: list[Word] = STOP_WORDS
    start_words: list[Word] = START_WORDS
    confirmation: str = Field(default=CONFIRMATION, max_length=1000)

    @field_validator("confirmation")
    @classmethod
    def _refuse_variables(cls, text: str) -> str:
        if "{{" in text or "}}" in text:
            raise ValueError("has no {{variables}}: everybody gets the same text")
        return text


class PersonalizationSettings(Section):
    """The service that writes texts for single recipients, and how much is asked of it."""

    url: OptionalHttpUrl = ""
    api_key: SecretStr = SecretStr("")
    send_numbers: bool = False
    timeout_seconds: float = Field(default=10, gt=0, le=300, allow_inf_nan=False)
    total_seconds: float = Field(default=60, gt=0, le=3600, allow_inf_nan=False)
    at_once: int = Field(default=8, ge=1, le=1000)
    max_characters: int = Field(default=1000, ge=1, le=5000)
    max_recipients: int = Field(default=500, ge=1, le=10_000)

    @field_validator("api_key")
    @classmethod
    def _refuse_what_no_header_takes(cls, key: SecretStr) -> SecretStr:
        value = key.get_secret_value()
        if not value.isascii() or not value.isprintable() or " " in value:
            raise ValueError("has signs that cannot stand in a header")
        return key


class LimitsSettings(Section):
    """How much may be asked for, at once and in a time."""

    sends_per_hour: int = Field(default=1000, ge=0, le=1_000_000)
    messages_per_minute: int = Field(default=60, ge=1, le=1_000_000)
    messages_per_bulk: int = Field(default=100, ge=1, le=1000)
    schedules_per_minute: int = Field(default=100, ge=0, le=1_000_000)
    reads_per_minute: int = Field(default=1000, ge=0, le=1_000_000)
    writes_per_minute: int = Field(default=100, ge=0, le=1_000_000)
    pairings_per_minute: int = Field(default=30, ge=0, le=100_000)
    pair_page_per_minute: int = Field(default=120, ge=0, le=100_000)
    logins_per_minute: int = Field(default=10, ge=0, le=100_000)
    logins_per_minute_per_address: int = Field(default=60, ge=0, le=100_000)
    storage_url: str = Field(default="", pattern=r"^(|memory://|rediss?://\S+)$")
    sockets: int = Field(default=2000, ge=0, le=100_000)
    recipients_per_campaign: int = Field(default=100_000, ge=1, le=10_000_000)
    recipients_per_import: int = Field(default=100_000, ge=1, le=1_000_000)


class ConsoleSettings(Section):
    """How long somebody stays logged in at the console."""

    idle_minutes: float = Field(default=60, ge=1, le=10_080, allow_inf_nan=False)
    longest_hours: float = Field(default=24, ge=0.1, le=720, allow_inf_nan=False)


class LoggingSettings(Section):
    """What is written, and where."""

    level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    file: str = "./logs/whatsapp_backend.log"
    format: Literal["json", "text"] = "json"


class _Environment(EnvSettingsSource):
    """The environment; a list or table that is not JSON is told with the name of its variable, not with its value."""

    def decode_complex_value(self, field_name: str, field: FieldInfo, value: Any) -> Any:
        try:
            return super().decode_complex_value(field_name, field, value)
        except ValueError as error:
            name = next(name for name, given in self.env_vars.items() if given == value)
            raise SettingsError(f"{name.upper()}: is not valid JSON ({error})") from None


class Settings(BaseSettings):
    """All sections; frozen, so nothing changes them behind somebody's back."""

    model_config = SettingsConfigDict(env_prefix=ENV_PREFIX, env_nested_delimiter="__", extra="forbid", frozen=True)

    server: ServerSettings = ServerSettings()
    database: DatabaseSettings = DatabaseSettings()
    auth: AuthSettings = AuthSettings()
    waha: WahaSettings = WahaSettings()
    sessions: SessionsSettings = SessionsSettings()
    dispatch: DispatchSettings = DispatchSettings()
    phone: PhoneSettings = PhoneSettings()
    media: MediaSettings = MediaSettings()
    webhooks: WebhooksSettings = WebhooksSettings()
    limits: LimitsSettings = LimitsSettings()
    schedules: SchedulesSettings = SchedulesSettings()
    inbox: InboxSettings = InboxSettings()
    opt_out: OptOutSettings = OptOutSettings()
    console: ConsoleSettings = ConsoleSettings()
    personalization: PersonalizationSettings = PersonalizationSettings()
    logging: LoggingSettings = LoggingSettings()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Environment first, then what the file said (given as init values)."""
        return _Environment(settings_cls), init_settings


def load_settings(path: Path | None = None) -> Settings:
    """Read `path`, or `config.toml` in the working directory where there is one, and the environment.

    Raises:
        SettingsError: the file cannot be read, or a key is unknown or of the wrong type.
    """
    values = _read_file(path) if path or Path("config.toml").exists() else {}
    _refuse_unknown_environment(os.environ)
    try:
        return Settings(**values)
    except ValidationError as error:
        raise SettingsError(_describe(error)) from None


def _read_file(path: Path | None) -> dict[str, Any]:
    path = path or Path("config.toml")
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read ({error.strerror})") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: is not valid TOML ({error})") from None


def _refuse_unknown_environment(environment: Mapping[str, str]) -> None:
    """pydantic-settings passes over variables of unknown sections; a typo there should not go unnoticed."""
    for name in environment:
        if name.upper().startswith(ENV_PREFIX) and "__" in name:
            section = name[len(ENV_PREFIX) :].split("__")[0].lower()
            if section not in Settings.model_fields:
                raise SettingsError(f"{name}: there is no section [{section}]")


def _describe(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False)[0]
    key = ".".join(str(part) for part in first["loc"]) or "settings"
    if first["type"] == "extra_forbidden":
        return f"{key}: there is no such setting"
    return f"{key}: {first['msg']}"
