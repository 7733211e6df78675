"""The receiver of pushes on a port of its own, for API servers that are not open to the world."""

from __future__ import annotations

import socket
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from airflow_provider_sms.errors import PreflightError
from airflow_provider_sms.plugin.settings import read_settings
from airflow_provider_sms.plugin.sms_plugin import URL_PREFIX

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    import uvicorn

    from airflow_provider_sms.plugin.settings import Settings

#: Requests in work at once, from where on more are turned away; each holds at most a body of 64 KiB.
_AT_ONCE = 1000
#: Connections that wait to be taken, as many as uvicorn has it.
_WAITING = 2048


def make_server(host: str, port: int, settings: Settings | None = None) -> uvicorn.Server:
    """
    Make the server.

    :param host: address to bind.
    :param port: port to bind, 0 for a free one.
    :param settings: those of Airflow's configuration if not given.
    :raises PreflightError: no connection may be pushed to.
    """
    import uvicorn
    from starlette.applications import Starlette
    from starlette.routing import Mount

    from airflow_provider_sms.plugin.app import make_app

    settings = settings or read_settings()
    if not settings.connections:
        msg = "push_connections is empty: name the connections whose vendor pushes, comma-separated"
        raise PreflightError([msg], "configuration [sms]")
    receiver = make_app(settings)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        # A mounted app is not told of start and stop by itself.
        async with receiver.router.lifespan_context(receiver):
            yield

    app = Starlette(routes=[Mount(URL_PREFIX, receiver)], lifespan=lifespan)
    app.router.redirect_slashes = False
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        # Its lines would hold numbers and texts; who wants them has them masked from the proxy.
        access_log=False,
        log_level="warning",
        log_config=None,
        # Whose X-Forwarded-For is believed is decided by our own setting.
        proxy_headers=False,
        server_header=False,
        limit_concurrency=_AT_ONCE,
        # A stop waits for the pushes that are being stored.
        timeout_graceful_shutdown=20,
        lifespan="on",
    )
    return uvicorn.Server(config)


def serve(
    host: str, port: int, *, settings: Settings | None = None, bound: Callable[[int], None] | None = None
) -> None:
    """
    Serve until SIGTERM or SIGINT.

    :param host: address to bind.
    :param port: port to bind, 0 for a free one.
    :param settings: those of Airflow's configuration if not given.
    :param bound: called with the port once it is bound.
    :raises PreflightError: no connection may be pushed to.
    :raises OSError: the port is taken, or the address is not this machine's.
    """
    server = make_server(host, port, settings)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, port), family=family, backlog=_WAITING) as listening:
        if bound is not None:
            bound(listening.getsockname()[1])
        server.run(sockets=[listening])
