"""
Ask a connection that has rested whether it still lives, before it is used.

SQLAlchemy's own ``pool_pre_ping`` asks each time, which costs a flow with hundreds of short transactions a
second a quarter of their round trips. Servers and firewalls give up connections that were idle for minutes.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from sqlalchemy import event, exc

if TYPE_CHECKING:
    from sqlalchemy import Engine

#: Seconds of rest after which a connection is asked.
_RESTED = 1.0
_SINCE = "sms_resting_since"


def ask_rested(engine: Engine) -> None:
    """Let an engine ask its rested connections, and replace those that do not answer."""

    def rest(connection: Any, record: Any) -> None:
        del connection
        record.info[_SINCE] = time.monotonic()

    def wake(connection: Any, record: Any, proxy: Any) -> None:
        del proxy
        # A new connection has no rest behind it.
        if time.monotonic() - record.info.get(_SINCE, time.monotonic()) < _RESTED:
            return
        try:
            engine.dialect.do_ping(connection)
        except engine.dialect.loaded_dbapi.Error:
            lost = True
        else:
            lost = False
        if lost:
            # What ended this one has ended those that are older, too; the pool makes new ones.
            msg = "the connection was lost while it rested"
            raise exc.InvalidatePoolError(msg)

    event.listen(engine, "checkin", rest)
    event.listen(engine, "checkout", wake)
