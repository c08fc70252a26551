"""Routes that are built with the first request to them: most processes and tests ask for few of them, and building one
takes longer than answering it.
"""

from collections.abc import Callable
from typing import Any

from fastapi import APIRouter
from fastapi.routing import APIRoute
from starlette.routing import compile_path


class LateRoute(APIRoute):
    """A route that knows its path and its methods at once, and the rest of itself as soon as anybody wants to know.

    What is wrong with its declaration is told then; the OpenAPI document wants to know it of every route.
    """

    def __init__(
        self,
        path: str,
        endpoint: Callable[..., Any],
        *,
        methods: set[str] | list[str] | None = None,
        include_in_schema: bool = True,
        **options: Any,
    ) -> None:
        self.path, self.endpoint = path, endpoint
        self.path_regex, self.path_format, self.param_convertors = compile_path(path)
        self.methods = {method.upper() for method in methods or ["GET"]}
        self.include_in_schema = include_in_schema
        self._options: dict[str, Any] | None = options

    def __getattr__(self, name: str) -> Any:
        """Asked for what is not there yet: build the route."""
        options = vars(self).get("_options")
        if options is None or name.startswith("__"):
            raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")
        self._options = None
        known: dict[str, Any] = {"methods": self.methods, "include_in_schema": self.include_in_schema}
        try:
            super().__init__(self.path, self.endpoint, **known, **options)
        except BaseException:
            self._options = options  # or what was wrong would be told only once
            raise
        return getattr(self, name)


class LateRouter(APIRouter):
    """A router of such routes."""

    def __init__(self, *, route_class: type[APIRoute] = LateRoute, **options: Any) -> None:
        super().__init__(route_class=route_class, **options)
