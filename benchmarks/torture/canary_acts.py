"""Everything that can be done with a connection, so that what is said meanwhile can be searched."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import http.client
import json
import logging
import sys
import threading
import time
import traceback
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, quote_from_bytes

from canary_forms import CONTENT, NAME, NUMBERS, REPLY, TOKEN

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Act = tuple[str, "Callable[[], Any]"]


def acts_of(vendor: str, conn_id: str) -> Iterator[Act]:
    """Give all acts, by name."""
    yield from _operators(conn_id, vendor)
    yield from _hooks(conn_id, vendor)
    yield from _commands()
    if vendor == "smsadmin":
        yield "receiver", lambda: _push(conn_id)


def _operators(conn_id: str, vendor: str) -> Iterator[Act]:
    from airflow_provider_sms.notifications.sms import SmsNotifier
    from airflow_provider_sms.operators import sms
    from airflow_provider_sms.sensors.sms import SmsReplySensor, SmsReportSensor

    people = list(NUMBERS)
    rows = [{"mobile": number, "name": NAME} for number in NUMBERS]
    given: dict[str, Any] = {"task_id": "t", "sms_conn_id": conn_id}
    tasks: dict[str, Callable[[], Any]] = {
        "send": lambda: sms.SmsSendOperator(content=f"{CONTENT}【公司】", recipients=people, **given),
        "template": lambda: sms.SmsTemplateSendOperator(
            template="{name}canary【公司】", recipients=rows, **given
        ),
        "preflight": lambda: sms.SmsSendOperator(
            content=CONTENT + "😀", recipients=[*people, "137770000001"], **given
        ),
        "balance": lambda: sms.SmsBalanceCheckOperator(threshold=10**9, on_low="continue", **given),
    }
    if vendor != "linkws":
        tasks |= {
            "reports": lambda: sms.SmsCollectOperator(queue="reports", **given),
            "replies": lambda: sms.SmsCollectOperator(queue="replies", **given),
        }
        sensors = {
            "report sensor": lambda **more: SmsReportSensor(min_records=10**6, **given, **more),
            "reply sensor": lambda **more: SmsReplySensor(
                mobile=NUMBERS[0], pattern=REPLY[:5], min_records=10**6, **given, **more
            ),
        }
        for name, sensor in sensors.items():
            yield name, lambda sensor=sensor: sensor().poke({})
            yield f"deferred {name}", lambda sensor=sensor: _deferred(sensor(deferrable=True))
    for name, task in tasks.items():
        yield name, lambda task=task: (_rendered(task()), task().execute({}))
    notifier = {"sms_conn_id": conn_id, "to": NUMBERS[0], "content": f"{CONTENT}【公司】"}
    yield "notifier", lambda: SmsNotifier(**notifier)({})


def _rendered(task: Any) -> dict[str, Any]:
    """Give what Airflow keeps and shows of a task's rendered fields."""
    from airflow.serialization.helpers import serialize_template_field

    task.render_template_fields({})
    return {name: serialize_template_field(getattr(task, name), name) for name in task.template_fields}


def _deferred(sensor: Any) -> Any:
    """Let a sensor defer, and its trigger run for a moment; give what the trigger is stored as."""
    from airflow.sdk.exceptions import TaskDeferred

    try:
        sensor.execute({})
    except TaskDeferred as deferred:
        stored = deferred.trigger.serialize()
        with contextlib.suppress(TimeoutError):
            asyncio.run(asyncio.wait_for(anext(deferred.trigger.run()), 1.5))
        return stored, deferred.kwargs, repr(deferred.trigger)
    return None


def _hooks(conn_id: str, vendor: str) -> Iterator[Act]:
    from airflow_provider_sms.hooks.sms import SmsHook

    yield "test_connection", lambda: SmsHook.for_connection(conn_id).test_connection()
    yield "account", lambda: repr(SmsHook.for_connection(conn_id).account)
    yield "hook send", lambda: SmsHook.for_connection(conn_id).send(NUMBERS[:3], CONTENT) and None
    if vendor == "smsadmin":
        yield "words", lambda: SmsHook.for_connection(conn_id).check_words(CONTENT) and None
    if vendor != "linkws":
        yield "raw reports", lambda: SmsHook.for_connection(conn_id).read_reports() and None


def _commands() -> Iterator[Act]:
    from airflow.cli.cli_parser import _add_command

    from airflow_provider_sms.cli.definition import get_sms_commands

    parser = argparse.ArgumentParser(prog="airflow")
    _add_command(parser.add_subparsers(), get_sms_commands()[0])

    def run(*words: str) -> None:
        args = parser.parse_args(["sms", *words])
        args.func(args)

    for words in (("doctor",), ("pages",), ("pages", "--state", "quarantined"), ("replay", "--all")):
        yield " ".join(words), lambda words=words: run(*words)


def _push(conn_id: str) -> list[int]:
    """Push a reply to a receiver of our own, with the right token and with wrong ones, whole and spoilt."""
    from airflow_provider_sms.hooks.sms import SmsHook
    from airflow_provider_sms.plugin.server import make_server

    login = SmsHook.for_connection(conn_id).account.login
    server = make_server("127.0.0.1", 0)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 10
    while not server.started and time.monotonic() < deadline:
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    reply = quote_from_bytes(REPLY.encode("gbk"))
    fields = f"Class=mo&SmsName={login}&Mobile={NUMBERS[1]}&LinkId=l1&Message={reply}"
    statuses = []
    for token in (TOKEN, TOKEN[:-1], TOKEN + "x", ""):
        for body in (f"{fields}&RevertTime=2025-01-31+16:30:00", fields[:40], "\0" + REPLY):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
            target = f"/sms/push/{conn_id}?token={quote(token, safe='')}"
            connection.request("POST", target, body.encode(errors="replace"))
            statuses.append(connection.getresponse().status)
            connection.close()
    server.should_exit = True
    thread.join(10)
    return statuses


def perform(vendor: str, conn_id: str, around: Callable[[], Any] = contextlib.nullcontext) -> dict[str, str]:
    """
    Do everything, each act within its own ``around``, and print what it gives and what it raises.

    :return: how each act ended.
    """
    ended = {}
    for name, act in acts_of(vendor, conn_id):
        print(f"== {name}")
        given, error = None, None
        try:
            with around():
                given = act()
        except BaseException as raised:  # noqa: BLE001 - all of them are looked at
            error = raised
        print(repr(given), json.dumps(given, default=repr, ensure_ascii=False))
        ended[name] = type(error).__name__ if error else "ok"
        while error is not None:
            traceback.print_exception(error, file=sys.stdout)
            print(repr(error), error, repr(error.args), getattr(error, "__notes__", ""))
            error = error.__cause__ or error.__context__
    return ended


def listen() -> None:
    """Let every logger say everything, into this process's output."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(levelname)s %(name)s %(message)s"))
    logging.root.addHandler(handler)
    logging.root.setLevel(logging.DEBUG)
    for name in list(logging.root.manager.loggerDict):
        logger = logging.getLogger(name)
        logger.disabled = False
        logger.setLevel(logging.DEBUG)
