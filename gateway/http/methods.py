"""Which methods a path takes: all of them, where a router knows those of the first route only."""

from collections.abc import Iterable, Mapping

from starlette.routing import BaseRoute, Route

Others = Mapping[str, Mapping[str, object]]
"""Paths that something else than a route answers, each with its operations by method in small letters."""


def methods_of(routes: Iterable[BaseRoute], others: Others, path: str) -> list[str]:
    """The methods that are there for the path of a request, sorted; none if the path is not there.

    A path that is written out is that one, whatever else would match it. Routes that the OpenAPI document leaves out
    count as well.
    """
    found = [route for route in routes if isinstance(route, Route) and route.path_regex.match(path)]
    written_out = [route for route in found if route.path == path]
    methods = {method for route in written_out or found for method in route.methods or ()}
    return sorted(methods | {method.upper() for method in others.get(path, ())})
