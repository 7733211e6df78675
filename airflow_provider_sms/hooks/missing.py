"""
Whether a connection that Airflow did not find is really missing.

Airflow asks its sources one after the other (a secrets backend, the environment, then the Execution API or
the metadata database) and takes one that fails for one that has no such connection: at the end
``AirflowNotFoundException`` says the same of both, and no exception is chained to it. So the sources are
asked once more, one by one, with what they raise seen:

* In the API server, the receiver of pushes and the commands, a database or secrets backend that is away
  raises.
* In tasks and triggers the answer of the parent process names its kind: ``CONNECTION_NOT_FOUND``, or another
  error where the API server did not answer.
* In scripts the metadata database is one more source (:mod:`~airflow_provider_sms.hooks.outside`).
* What cannot be told is an API server that answers and whose own database is away: it says "not found" (its
  route looks up by the same rule). That is what :mod:`~airflow_provider_sms.hooks.known_stores` is for.
"""

from __future__ import annotations

from typing import Any

from airflow_provider_sms.hooks.outside import NOT_SET_UP, MetadataDatabase, is_outside

#: What says that there is no such connection: an answer's kind, an exception's class.
_NOT_FOUND = frozenset({"", "CONNECTION_NOT_FOUND", "AirflowNotFoundException"})


def failed_source(conn_id: str) -> str:
    """
    Ask Airflow's sources of connections again for one that was not found; this blocks.

    :param conn_id: id of the connection.
    :return: which source could not answer and how that shows, without values; empty if all said that there is
        no such connection.
    """
    for source in _sources():
        try:
            failure = _failure(source, conn_id)
        except Exception as error:  # noqa: BLE001 - a secrets backend may raise anything
            failure = _kind(error)
            if type(source).__name__ == "MetastoreBackend" and _is_not_set_up(error):
                return NOT_SET_UP
        if failure not in _NOT_FOUND:
            return f"{type(source).__name__}: {failure}"
    return ""


def _sources() -> list[Any]:
    # No declared API of Airflow says which they are; a test pins this one.
    try:
        from airflow.sdk.execution_time.supervisor import ensure_secrets_backend_loaded
    except ImportError:
        return []
    return [*ensure_secrets_backend_loaded(), *([MetadataDatabase()] if is_outside() else [])]


def _failure(source: Any, conn_id: str) -> str:
    if type(source).__name__ == "ExecutionAPISecretsBackend":
        # Its own method makes None of every error.
        from airflow.sdk.execution_time.comms import GetConnection
        from airflow.sdk.execution_time.task_runner import SUPERVISOR_COMMS

        answer: Any = SUPERVISOR_COMMS.send(GetConnection(conn_id=conn_id))
        if kind := _kind_of_answer(answer):
            return kind
    else:
        answer = source.get_connection(conn_id=conn_id)
    return "" if answer is None else "it knows the connection by now"


def _is_not_set_up(error: Exception) -> bool:
    from sqlalchemy.exc import SQLAlchemyError

    try:
        return isinstance(error, SQLAlchemyError) and not MetadataDatabase.is_set_up()
    except Exception:  # noqa: BLE001 - away, then
        return False


def _kind_of_answer(answer: Any) -> str:
    return str(getattr(getattr(answer, "error", None), "value", ""))


def _kind(error: Exception) -> str:
    # An error that the parent process sent is raised with its answer in it.
    return _kind_of_answer(getattr(error, "error", None)) or type(error).__name__
