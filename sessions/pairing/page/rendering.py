"""The pairing page and its refusals as HTML, and the files that they load."""

from functools import cache
from math import ceil
from pathlib import Path
from urllib.parse import urlencode

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from starlette.responses import HTMLResponse

from gateway.errors import GatewayError, RateLimited
from sessions.pairing.page.languages import NAMES, Language
from sessions.pairing.page.links import NO_STORE, Link

TEMPLATES = Path(__file__).parent / "templates"
STATIC = Path(__file__).parent / "static"
SERVED = frozenset(file.name for file in STATIC.iterdir())
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'"
)

_REASONS = {403: "refused", 410: "over", 429: "limited"}


@cache
def _templates() -> Environment:
    loader = FileSystemLoader(TEMPLATES)
    return Environment(
        loader=loader,
        autoescape=True,
        undefined=StrictUndefined,
        auto_reload=False,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def render_page(language: Language, link: Link) -> HTMLResponse:
    """The page of a link that was checked. It shows nothing of the pairing: its script asks for that."""
    number = Markup('<bdi dir="ltr" class="number">{}</bdi>').format(f"+{link.number}")
    return _render("page.html", language, 200, link, number=number, digits=link.number)


def render_refusal(language: Language, link: Link, refusal: GatewayError) -> HTMLResponse:
    """A page that says only that there is nothing to see, and what to do."""
    response = _render("refusal.html", language, refusal.status_code, link, reason=_REASONS[refusal.status_code])
    if isinstance(refusal, RateLimited):
        response.headers["Retry-After"] = str(ceil(refusal.retry_after))
    return response


def _render(template: str, language: Language, status: int, link: Link, **values: object) -> HTMLResponse:
    offered = [(code, name, f"?{link.query}&{urlencode({'lang': code})}") for code, name in NAMES.items()]
    html = (
        _templates()
        .get_template(template)
        .render(language=language, say=language.say, offered=offered, span=_span, **values)
    )
    headers = NO_STORE | {
        "Content-Security-Policy": POLICY,
        "Referrer-Policy": "no-referrer",
        "Content-Language": language.code,
        "Vary": "Accept-Language",
        "X-Robots-Tag": "noindex, nofollow",
    }
    return HTMLResponse(html, status, headers)


def _span(name: str) -> Markup:
    """A place that the page's script fills."""
    return Markup("<bdi data-{}></bdi>").format(name)
