"""
Make the views, or make them anew where their definition changed, under what others built on them.

PostgreSQL keeps a view's grants, and the views that others made of it, only while it is the same view: it is
replaced, which it allows as long as columns are only added at the end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import exc, text

from airflow_provider_sms.errors import StoreUnavailable
from airflow_provider_sms.store.views import all_messages, message_status

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

_VIEWS = ("sms_messages", "sms_message_status")
#: PostgreSQL's word for columns that are gone, renamed or of another type.
_OTHER_COLUMNS = "42P16"
_DEPENDENT = text(
    """
    SELECT DISTINCT CAST(rule.ev_class::regclass AS text) AS name
    FROM pg_depend JOIN pg_rewrite AS rule ON rule.oid = pg_depend.objid
    WHERE pg_depend.classid = 'pg_rewrite'::regclass AND pg_depend.refclassid = 'pg_class'::regclass
      AND pg_depend.refobjid = to_regclass(:view) AND rule.ev_class <> pg_depend.refobjid
    ORDER BY name
    """
)
_GRANTS = text(
    """
    SELECT format(
      'GRANT %s ON %s TO %s%s',
      privilege_type,
      view.oid::regclass,
      CASE grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END,
      CASE WHEN is_grantable THEN ' WITH GRANT OPTION' ELSE '' END
    )
    FROM pg_class AS view, aclexplode(view.relacl)
    WHERE view.oid = to_regclass(:view) AND grantee <> view.relowner
    """
)


def hold_views(connection: Connection) -> None:
    """
    Wait until nobody reads the views, and let nobody begin to: to be called before their tables are changed.

    On PostgreSQL whoever reads a view locks first it and then its tables. A change that locked the tables
    first and the views at its end would deadlock with him.
    """
    if connection.dialect.name == "postgresql":
        for name in _VIEWS:
            # Changes nothing, as views that cannot be written have no such option. LOCK TABLE would go on to
            # the tables of the first view before it comes to the second.
            connection.exec_driver_sql(f"ALTER VIEW IF EXISTS {name} RESET (check_option)")


def create_views(connection: Connection) -> None:
    """
    Make the views, or make them anew when their definition changed.

    :raises StoreUnavailable: a view has to be dropped for it, and views of others are made of it.
    """
    for name, select_all in zip(_VIEWS, (all_messages(), message_status()), strict=True):
        body = str(select_all.compile(connection, compile_kwargs={"literal_binds": True}))
        if connection.dialect.name in {"mysql", "mariadb"}:
            # It commits each of these on its own: nobody shall find the view gone.
            connection.exec_driver_sql(f"CREATE OR REPLACE VIEW {name} AS {body}")
        elif connection.dialect.name == "postgresql":
            _replace(connection, name, body)
        else:
            _make_anew(connection, name, body)


def _replace(connection: Connection, name: str, body: str) -> None:
    try:
        with connection.begin_nested():
            connection.exec_driver_sql(f"CREATE OR REPLACE VIEW {name} AS {body}")
    except exc.ProgrammingError as error:
        # The one has the name of psycopg, the other that of psycopg2.
        if _OTHER_COLUMNS not in {getattr(error.orig, "sqlstate", ""), getattr(error.orig, "pgcode", "")}:
            raise
    else:
        return
    dependent = connection.scalars(_DEPENDENT, {"view": name}).all()
    if dependent:
        those = "that view" if len(dependent) == 1 else "those views"
        msg = (
            f"the SMS store cannot be brought up to date: its view {name} has other columns now, on which "
            f"{', '.join(dependent)} {'was' if len(dependent) == 1 else 'were'} built: write down what "
            f"pg_get_viewdef says of {those}, drop {those}, and make {those} again once the store has been "
            "opened; nothing was changed"
        )
        raise StoreUnavailable(msg)
    grants = connection.scalars(_GRANTS, {"view": name}).all()
    _make_anew(connection, name, body)
    for grant in grants:
        connection.exec_driver_sql(grant)


def _make_anew(connection: Connection, name: str, body: str) -> None:
    connection.exec_driver_sql(f"DROP VIEW IF EXISTS {name}")
    connection.exec_driver_sql(f"CREATE VIEW {name} AS {body}")
