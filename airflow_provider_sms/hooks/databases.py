"""
The database of a connection that a query or an export names.

Whatever is wrong with the connection is told in one way, and by its id: what Airflow's hooks, SQLAlchemy and
drivers raise of it is of many classes, may quote an address, and would be tried again in vain.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowException, AirflowNotFoundException, BaseHook

from airflow_provider_sms.errors import PreflightError
from airflow_provider_sms.hooks.missing import failed_source
from airflow_provider_sms.hooks.outside import find_connection

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from airflow_provider_sms.errors import SmsError

#: What hooks raise of fields and options that make no sense to them.
_OF_ITS_FIELDS = (AirflowException, AttributeError, NotImplementedError, TypeError, ValueError)


def engine_of(conn_id: str, cannot_ask: type[SmsError]) -> Engine:
    """
    Make the engine of a connection by its own hook, which honours what its type knows of drivers and options.

    Nothing is connected yet.

    :param conn_id: id of a connection of any type whose hook has a SQLAlchemy engine.
    :param cannot_ask: the transient error to raise where Airflow cannot look the connection up now.
    :raises PreflightError: there is no such connection, it is no database, or it cannot be used.
    """
    try:
        engine, problem = _engine(conn_id)
    except AirflowNotFoundException:
        engine, problem = None, "there is no such connection: create it, or name another one"
        failure = failed_source(conn_id)
    else:
        failure = ""
    if failure:
        raise cannot_ask(
            f"connection {conn_id!r} cannot be looked up ({failure}), so nothing was sent or written: try "
            "again once what Airflow keeps its connections in answers"
        )
    if engine is None:
        raise PreflightError([problem], f"connection {conn_id!r}")
    return engine


def _engine(conn_id: str) -> tuple[Engine | None, str]:
    """Give the engine, or what is wrong with the connection."""
    from sqlalchemy import exc

    try:
        hook = _hook(conn_id)
    except AirflowNotFoundException:
        raise
    except (*_OF_ITS_FIELDS, ImportError) as error:
        return None, (
            f"Airflow has no hook for its type ({type(error).__name__}): install the provider of that "
            "database here, or correct the connection's type"
        )
    if not hasattr(type(hook), "get_sqlalchemy_engine"):
        return None, f"it is no database (its hook is {type(hook).__name__}): name the connection of one"
    try:
        return hook.get_sqlalchemy_engine(), ""
    except AirflowNotFoundException:
        raise
    except ImportError as error:
        return None, f"a driver of its database is not installed here ({error.name}): install it"
    except (*_OF_ITS_FIELDS, exc.ArgumentError) as error:
        return None, (
            f"its fields and extras make no address of a database ({type(error).__name__}): correct them"
        )


def _hook(conn_id: str) -> Any:
    try:
        return BaseHook.get_hook(conn_id)
    except AirflowNotFoundException:
        # In a script there is one more place to look.
        if (connection := find_connection(conn_id)) is None:
            raise
        return connection.get_hook()
