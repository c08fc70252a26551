"""The API's own pages, `/docs` (Swagger UI) and `/redoc` (ReDoc), without the internet: all they load is served here.

Links are relative, so that the pages also work below a path prefix.
"""

import html
from pathlib import Path

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.staticfiles import StaticFiles

from gateway.errors import NotFound

ASSETS = Path(__file__).parent / "assets"
SERVED = frozenset(
    {"swagger-ui.css", "swagger-ui-bundle.js", "swagger-init.js", "redoc.standalone.js", "redoc-init.js"}
)
ASSETS_PATH = "/docs/assets"

SWAGGER_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="docs/assets/swagger-ui.css">
</head>
<body>
<div id="swagger-ui" data-openapi-url="{openapi_url}"></div>
<script src="docs/assets/swagger-ui-bundle.js"></script>
<script src="docs/assets/swagger-init.js"></script>
</body>
</html>
"""
REDOC_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<link rel="icon" href="data:,">
</head>
<body style="margin: 0">
<div id="redoc" data-openapi-url="{openapi_url}"></div>
<script src="docs/assets/redoc.standalone.js"></script>
<script src="docs/assets/redoc-init.js"></script>
</body>
</html>
"""
# Swagger UI lives under the policy of all our answers. ReDoc draws with <style> elements, and searches in a worker that
# it makes from a blob.
REDOC_POLICY = (
    "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; worker-src blob:; object-src 'none'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
REVALIDATE = {"Cache-Control": "no-cache"}  # the browser keeps it, and asks by its ETag whether it is still so


def install_docs(app: FastAPI) -> None:
    """Add the pages to an app that was made with `docs_url=None, redoc_url=None`; its schema does not list them.

    Raises:
        ValueError: the app still has FastAPI's own pages, which load from the internet.
    """
    if app.docs_url or app.redoc_url or app.openapi_url is None:
        raise ValueError("make the app with docs_url=None and redoc_url=None, and keep its openapi_url")
    names = {"title": html.escape(app.title), "openapi_url": html.escape(app.openapi_url.lstrip("/"))}
    files = StaticFiles(directory=ASSETS)

    async def swagger(request: Request) -> Response:
        return HTMLResponse(SWAGGER_PAGE.format(**names), headers=REVALIDATE)

    async def redoc(request: Request) -> Response:
        headers = REVALIDATE | {"Content-Security-Policy": REDOC_POLICY}
        return HTMLResponse(REDOC_PAGE.format(**names), headers=headers)

    async def asset(request: Request) -> Response:
        name = request.path_params["name"]
        if name not in SERVED:
            raise NotFound
        response = await files.get_response(name, request.scope)
        response.headers.update(REVALIDATE)
        return response

    app.add_route("/docs", swagger, include_in_schema=False)
    app.add_route("/redoc", redoc, include_in_schema=False)
    app.add_route(f"{ASSETS_PATH}/{{name}}", asset, include_in_schema=False)
