"""The gateway's own HTTP API, as commands use it: what it answers, or one line saying what is wrong."""

from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

import httpx

from gateway.cli.failures import CommandFailed, one_line

READ_SECONDS = 120.0  # a campaign of 100,000 recipients is checked and stored before it is answered
CONNECT_SECONDS = 5.0
MAX_ERRORS_TOLD = 5


class GatewayUnreachable(CommandFailed):
    """Nothing answers at the gateway's address."""


class GatewayRefused(CommandFailed):
    """The gateway answered with an error; `status` and `code` are what it told programs."""

    def __init__(self, message: str, status: int, code: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


class Api:
    """One running service. `headers` are the caller's credentials; `transport` replaces the network (tests)."""

    def __init__(
        self,
        base_url: str,
        headers: Mapping[str, str] | None = None,
        *,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.base_url = base_url.rstrip("/")
        timeout = httpx.Timeout(READ_SECONDS, connect=CONNECT_SECONDS)
        try:
            self._http = httpx.AsyncClient(
                base_url=self.base_url, headers=headers, timeout=timeout, trust_env=False, transport=transport
            )
        except httpx.InvalidURL as error:
            raise CommandFailed(f"{base_url} is not an address ({one_line(error)})") from error

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.aclose()

    async def get(self, path: str, params: Mapping[str, str | int | bool] | None = None) -> Any:
        """The answer's JSON."""
        return await self._call("GET", path, params=params)

    async def post(self, path: str, body: Any = None, headers: Mapping[str, str] | None = None) -> Any:
        """The answer's JSON."""
        return await self._call("POST", path, json=body, headers=headers)

    async def _call(self, method: str, path: str, **parts: Any) -> Any:
        try:
            response = await self._http.request(method, path, **parts)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.UnsupportedProtocol) as error:
            raise GatewayUnreachable(
                f"no gateway answers at {self.base_url} ({one_line(error)}); start one with: gateway serve"
            ) from error
        except httpx.HTTPError as error:
            raise GatewayUnreachable(f"the gateway at {self.base_url} broke off ({one_line(error)})") from error
        return _read(response)


def _read(response: httpx.Response) -> Any:
    try:
        answer = response.json()
    except ValueError:
        answer = None
    if response.is_success and answer is not None:
        return answer
    if not isinstance(answer, dict) or "detail" not in answer:
        message = f"{response.url} does not answer like a gateway (HTTP {response.status_code})"
        raise GatewayRefused(message, response.status_code, "")
    raise GatewayRefused(_tell(answer), response.status_code, str(answer.get("error_code", "")))


def _tell(problem: Mapping[str, Any]) -> str:
    """A problem of the API as one line: the sentence, and the wrong fields."""
    detail = str(problem["detail"])
    wrong = [f"{error['field']}: {error['message']}" for error in problem.get("errors", ())]
    told = [text for text in wrong[:MAX_ERRORS_TOLD] if text not in detail]
    more = len(wrong) - MAX_ERRORS_TOLD
    if more > 0:
        told.append(f"and {more} more")
    return f"{detail} ({'; '.join(told)})" if told else detail
