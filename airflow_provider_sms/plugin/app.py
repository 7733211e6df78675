"""
The receiver of pushes as an ASGI app: ``POST <prefix>/<conn_id>?token=...``.

``200`` means stored; any other answer means that nothing was stored. Airflow mounts the apps of plugins
open to everyone, so this one has no pages but its route, and the route has its own check.
"""

import asyncio
import logging
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, FastAPI, Request, Response
from starlette.requests import ClientDisconnect

from airflow_provider_sms.plugin import desk
from airflow_provider_sms.plugin.accounts import Door, Doors
from airflow_provider_sms.plugin.body import RefusedError, drain, read_body
from airflow_provider_sms.plugin.desk import Desk
from airflow_provider_sms.plugin.gate import admits, is_within, source_of, split_query
from airflow_provider_sms.plugin.sparing import SparingLog
from airflow_provider_sms.receiving import OtherAccountError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.types import ASGIApp, Receive, Scope, Send

    from airflow_provider_sms.plugin.settings import Settings

log = logging.getLogger(__name__)

_QUERY = "airflow_provider_sms.query"


class _ForbiddenError(RefusedError):
    """Whoever asks is not told why; the log is."""

    def __init__(self) -> None:
        super().__init__(403, "not authorised")


def make_app(settings: "Settings") -> FastAPI:
    """
    Make the app.

    :param settings: which connections, and the limits.
    """
    # No documentation pages: they would be open to everyone, too. And no redirects: a vendor does not follow
    # them, and the query with the token is hidden from whoever makes them.
    route = _Route(settings)
    app = FastAPI(
        title="SMS push receiver",
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
        lifespan=route.lifespan,
    )
    router = APIRouter(redirect_slashes=False)
    # All other methods end there as well: the log shall say what a vendor that uses them is missing.
    others = ["GET", "HEAD", "PUT", "PATCH", "DELETE"]
    for path in ("/{conn_id}", "/{conn_id}/"):
        router.add_api_route(path, route.answer, methods=["POST"], include_in_schema=False)
        router.add_api_route(path, route.answer, methods=others, include_in_schema=False)
    router.add_api_route("/{path:path}", route.miss, methods=["POST", *others], include_in_schema=False)
    app.include_router(router)
    app.add_middleware(_HideQuery)
    return app


class _HideQuery:
    """
    Take the query out of the request for all but our route.

    A query may hold a number, a text, and the token. Servers and middlewares log it when the answer is out,
    from the scope, which by then says nothing.
    """

    def __init__(self, app: "ASGIApp") -> None:
        self._app = app

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        if scope["type"] == "http":
            scope[_QUERY] = scope["query_string"]
            scope["query_string"] = b""
        await self._app(scope, receive, send)


class _Route:
    def __init__(self, settings: "Settings") -> None:
        self._settings = settings
        self._told = SparingLog(log)
        self._doors = Doors(self._told, len(settings.connections))
        self._desk = Desk(settings.store_seconds, self._told)

    @asynccontextmanager
    async def lifespan(self, _: FastAPI) -> "AsyncIterator[None]":
        """Look after what an earlier process left, from when the server starts; Airflow's runs this, too."""
        work = asyncio.create_task(self._mend_what_was_left())
        try:
            yield
        finally:
            work.cancel()

    async def _mend_what_was_left(self) -> None:
        waiting = list(self._settings.connections)
        # Not at once: what is needed to open a store is imported for it.
        seconds = desk.FIRST_MEND_SECONDS
        while waiting:
            await asyncio.sleep(seconds)
            doors = {conn_id: await self._doors.door_in_time(conn_id) for conn_id in waiting}
            for door in filter(None, doors.values()):
                self._desk.mend_once(door.receiver)
            waiting = [conn_id for conn_id, door in doors.items() if door is None]
            seconds = desk.MEND_SECONDS

    async def answer(self, conn_id: str, request: Request) -> Response:
        """Take one push."""
        try:
            return await self._take(conn_id, request)
        except RefusedError as refused:
            if not isinstance(refused, _ForbiddenError):
                self._told.warning("a push to %r was refused: %s", self._name(conn_id), refused.reason)
            await drain(request)
            headers = {"Allow": self._allowed} if refused.status == 405 else None  # noqa: PLR2004
            return Response(status_code=refused.status, headers=headers)
        except ClientDisconnect:
            # Nobody is left to be answered, and nothing was acknowledged.
            return Response(status_code=400)

    async def miss(self, request: Request) -> Response:
        """Refuse what is at none of our addresses."""
        self._told.warning(
            "a request to the receiver was refused: its address has no connection, or more behind it. A "
            "vendor is told .../sms/push/CONNECTION?token=TOKEN"
        )
        await drain(request)
        return Response(status_code=404)

    async def _take(self, conn_id: str, request: Request) -> Response:
        token, query = split_query(request.scope[_QUERY])
        door = await self._authorised(conn_id, token, request)
        if request.method not in self._allowed.split(", "):
            if query:
                self._told.error(
                    "connection %r: an event was pushed by %s and refused. If the vendor pushes so, set "
                    "push_accept_get in [sms]; it does not repeat what was refused",
                    conn_id,
                    request.method,
                )
            raise RefusedError(405, f"method {request.method}")
        body = await read_body(request, limit=self._settings.body_limit, seconds=self._settings.body_seconds)
        fields = query.count(b"&") + body.count(b"&") + 2
        if len(query) > self._settings.body_limit or fields > self._settings.field_limit:
            raise RefusedError(413, f"more than {self._settings.field_limit} fields")
        try:
            push = door.receiver.read(query, body)
        except OtherAccountError as other:
            self._told.error("%s", other)
            raise _ForbiddenError from None
        if not await self._desk.keep(door.receiver, push):
            return Response(status_code=503)
        return Response("ok", media_type="text/plain")

    async def _authorised(self, conn_id: str, token: bytes, request: Request) -> Door:
        if conn_id not in self._settings.connections:
            admits(token, ())
            raise self._forbidden("unknown", "a connection that is not in push_connections")
        door = await self._doors.door_in_time(conn_id)
        if door is None:
            raise RefusedError(503, "its connection cannot be used")
        if not admits(token, door.tokens):
            raise self._forbidden(conn_id, "a wrong token, or none")
        peer = request.client.host if request.client else ""
        forwarded = request.headers.getlist("x-forwarded-for")
        source = source_of(peer, forwarded, self._settings.trusted_proxies)
        if door.sources and not is_within(source, door.sources):
            raise self._forbidden(conn_id, f"address {source[:45]!r}, which is not in its push_sources")
        return door

    def _forbidden(self, conn_id: str, why: str) -> _ForbiddenError:
        self._told.warning("a push to connection %r was refused: %s", conn_id, why)
        return _ForbiddenError()

    def _name(self, conn_id: str) -> str:
        return conn_id if conn_id in self._settings.connections else "unknown"

    @property
    def _allowed(self) -> str:
        return "POST, GET" if self._settings.accept_get else "POST"


__all__: list[Any] = ["make_app"]
