"""What the commands reach: the store, and the connections of SMS vendors wherever Airflow keeps them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from airflow_provider_sms.errors import SmsError

if TYPE_CHECKING:
    from airflow_provider_sms.store.engine import Store
    from airflow_provider_sms.vendors.base import Account, Vendor

_ENVIRONMENT = "AIRFLOW_CONN_"


def store_of(conn_id: str | None) -> Store:
    """
    Open the store.

    :param conn_id: its connection; the configured one if ``None``.
    :raises PreflightError: it cannot be used as it is set up.
    :raises StoreUnavailable: it does not answer.
    """
    from airflow_provider_sms.hooks.store import open_store

    return open_store(conn_id)


def account_of(conn_id: str) -> tuple[Vendor, Account]:
    """
    Check a connection; nobody is asked anything.

    :raises PreflightError: it does not exist, or has fields that cannot work.
    """
    from airflow_provider_sms.hooks.sms import SmsHook

    hook = SmsHook.for_connection(conn_id)
    return hook.vendor, hook.account


def known_to(store: Store) -> set[str]:
    """Name the connections that something in the store belongs to; none if the store is away."""
    from airflow_provider_sms.errors import StoreUnavailable
    from airflow_provider_sms.store.attention import known_connections

    try:
        return known_connections(store)
    except StoreUnavailable:
        return set()


def in_environment() -> set[str]:
    """Name the SMS connections of the environment. Those of a secrets backend cannot be listed."""
    from airflow.providers.common.compat.sdk import BaseHook

    types, found = _types(), set()
    for name in os.environ:
        if not name.startswith(_ENVIRONMENT):
            continue
        conn_id = name.removeprefix(_ENVIRONMENT).lower()
        try:
            if BaseHook.get_connection(conn_id).conn_type in types:
                found.add(conn_id)
        except Exception:  # noqa: BLE001, S112 - somebody else's broken connection; ours are checked by name
            continue
    return found


def in_database() -> set[str]:
    """
    Name the SMS connections of Airflow's metadata database.

    :raises SmsError: it cannot be asked.
    """
    from airflow.models.connection import Connection
    from airflow.utils.session import create_session
    from sqlalchemy import select
    from sqlalchemy.exc import SQLAlchemyError

    from airflow_provider_sms.hooks.outside import NOT_SET_UP, MetadataDatabase

    try:
        if not MetadataDatabase.is_set_up():
            raise SmsError(NOT_SET_UP)
        with create_session() as session:
            return set(session.scalars(select(Connection.conn_id).where(Connection.conn_type.in_(_types()))))
    except SQLAlchemyError as error:
        msg = (
            f"those in Airflow's metadata database cannot be listed ({type(error).__name__}): "
            "name them by --conn-id, or mend the database ('airflow db check')"
        )
        raise SmsError(msg) from None


def _types() -> set[str]:
    from airflow_provider_sms.vendors.registry import vendors

    return {vendor.conn_type for vendor in vendors().values()}
