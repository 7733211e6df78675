"""
The example DAGs, run for real: an Airflow with a database of its own, and four vendors played by the sandbox.

``make demo``, or ``python example_dags/run_demo.py --output demo-output`` where the package is installed with
its extra ``demo``. Nothing leaves this machine, and no other Airflow is touched. The exit status is 0 only if
every DAG run succeeded and every message and record is where it belongs.
"""

from __future__ import annotations

import argparse
import os
import shlex
import sys
import traceback
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

DAGS = Path(__file__).resolve().parent
# "python -P" leaves a script's own folder out.
sys.path.insert(0, str(DAGS))

from demo.console import Console  # noqa: E402
from demo.surroundings import (  # noqa: E402
    REGIONS,
    ChatGroup,
    NotOurFolderError,
    environment,
    forget_other_airflows,
    fresh_folder,
    make_customers,
    write_exports,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_sms.sandbox import Sandbox

_FATES = {"fail": 0.06, "are never reported": 0.03, "are answered": 0.06}
#: Below the threshold of ``example_sms_balance_alert``.
_LITTLE = Decimal(1_200)
#: Which of the sends is run a second time.
_AGAIN = 1


def main(argv: Sequence[str] | None = None) -> int:
    """
    Run the demonstration.

    :param argv: arguments behind the program's name; ``None`` for those of this process.
    :return: the exit status.
    """
    parser = argparse.ArgumentParser(
        description="Runs the example DAGs against a sandbox. Nothing is ever sent."
    )
    parser.add_argument(
        "--output", type=Path, default=Path("demo-output"), help="folder for the results (demo-output)"
    )
    try:
        folder = fresh_folder(parser.parse_args(argv).output.resolve())
    except NotOurFolderError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    log = folder / "airflow.log"
    wrong: list[str] = []
    with Console(log) as console:
        try:
            wrong = _demonstrate(console, folder)
        except Exception as error:  # noqa: BLE001 - whatever it is, the console shows it and the log has it
            traceback.print_exc()  # into the log
            wrong = [f"{type(error).__name__}: {error}"]
        for problem in wrong:
            console.say(f"  ✗ {problem}")
        if wrong:
            console.say(f"\nThe demonstration failed. Everything that Airflow logged is in {log}")
    return 1 if wrong else 0


def _demonstrate(console: Console, folder: Path) -> list[str]:
    from airflow_provider_sms.sandbox import Fault, Sandbox

    now = datetime.now(UTC)
    failed, silent, answered = _FATES.values()
    day = str((now + timedelta(hours=8)).date())
    with (
        Sandbox(report_delay=1.0, failure_share=failed, silent_share=silent, reply_share=answered) as sandbox,
        ChatGroup(lambda text: console.overheard("(chat group)", text)) as chat,
    ):
        customers = make_customers(folder / "customers.db", day)
        sandbox.account("wavecom").balance = _LITTLE
        sandbox.faults.add(Fault("busy", vendor="wavecom", operation="send"))
        forget_other_airflows()
        settings = environment(folder, DAGS, sandbox, chat)
        os.environ.update(settings)
        write_exports(folder / "airflow.env", settings, sandbox.port)
        console.say("The example DAGs, run for real in Airflow. Four SMS vendors, played by a sandbox.")
        console.told("vendors", f"{sandbox.url}: {_shares()}")
        console.told("customers", f"{customers} orders in {folder / 'customers.db'}")
        console.told(
            "Airflow", f"its own, in {folder / 'airflow'}; what it logs is in {folder / 'airflow.log'}"
        )
        wrong = _run_all(console, day, now)
        if wrong:
            return wrong
        _show(console, folder)
        wrong = _check(console, folder, sandbox, chat)
        if not wrong:
            _say_how_to_go_on(console, folder)
        return wrong


def _shares() -> str:
    return "of the messages, " + ", ".join(f"{share:.0%} {fate}" for fate, share in _FATES.items())


def _run_all(console: Console, day: str, now: datetime) -> list[str]:
    dags = _dags(console)
    sends = [
        (
            f"Tell the customers of {region}, by {vendor}",
            "example_sms_notification",
            {"sms_conn_id": f"sms_{vendor}", "region": region, "shipped_on": day, "min_delivery_rate": 0.8},
        )
        for region, (vendor, _) in REGIONS.items()
    ]
    others: list[tuple[str, str, dict[str, Any]]] = [
        ("Look at the balances", "example_sms_balance_alert", {}),
        ("Collect what is left, refresh the daily table, publish", "example_sms_nightly_delivery_etl",
         {"silent_after_hours": 0, "day": day}),
        ("Wake the DAG that waits for the daily table", "example_sms_delivery_consumer", {}),
        ("Wake the DAG that waits for replies", "example_sms_reply_driven", {}),
    ]  # fmt: skip
    # Nobody wants to watch the minutes go by that real vendors deserve.
    dags["example_sms_notification"].get_task("wait_for_reports").poke_interval = 2.0
    for each in dags.values():
        for task in each.tasks:
            _prepare(task, console)
    wrong = []
    for number, (title, dag_id, conf) in enumerate([*sends, *others]):
        wrong += _run(console, title, dags[dag_id], conf, now + timedelta(milliseconds=number))
        if number == _AGAIN:
            again = "Clear that run and let it go again: nobody gets a second message"
            wrong += _run(console, again, dags[dag_id], conf, now + timedelta(milliseconds=number))
    return wrong


def _run(console: Console, title: str, dag: Any, conf: dict[str, Any], moment: datetime) -> list[str]:
    console.chapter(f"{title}: {dag.dag_id}")
    # The same moment is the same run, as Airflow names runs, and so the same send key.
    run = dag.test(logical_date=moment, run_after=moment, run_conf=conf)
    return [] if run.state == "success" else [f"{dag.dag_id} ended as {run.state}"]


def _prepare(task: Any, console: Console) -> None:
    """Have a task tried once only, and the instances of a mapped one named."""
    if not hasattr(task, "partial_kwargs"):
        task.retries = 0
        return
    task.partial_kwargs["retries"] = 0
    for index, given in enumerate(task.expand_input.value):
        console.name(
            task.task_id, index, " ".join(value for value in given.values() if isinstance(value, str))
        )


def _dags(console: Console) -> dict[str, Any]:
    console.chapter("Start Airflow")
    import airflow
    from airflow.dag_processing.dagbag import DagBag
    from airflow.utils.db import initdb

    initdb()
    bag = DagBag(DAGS)
    if bag.import_errors:
        raise RuntimeError(f"DAGs that do not import: {bag.import_errors}")
    console.told("Airflow", f"{airflow.__version__}, its database is made, {len(bag.dags)} DAGs are read")
    return dict(bag.dags)


def _show(console: Console, folder: Path) -> None:
    from demo.results import TABLES, rows

    for title, header, sql in TABLES:
        console.chapter(title)
        console.table(header, rows(folder / "sms.db", sql))


def _check(console: Console, folder: Path, sandbox: Sandbox, chat: ChatGroup) -> list[str]:
    from demo.results import problems

    console.chapter("Compare both sides")
    wrong = list(problems(folder, sandbox, chat.texts))
    if not wrong:
        people = sum(count for _, count in REGIONS.values())
        console.say(
            f"  ✓ {people} people got their own text, each exactly once, "
            "although a vendor was busy and a run was cleared"
        )
        reports = sum(len(sandbox.handed_out_reports(vendor)) for vendor, _ in REGIONS.values())
        replies = sum(len(sandbox.handed_out_replies(vendor)) for vendor, _ in REGIONS.values())
        console.say(
            f"  ✓ {reports} reports and {replies} replies were handed out, and landed, each exactly once"
        )
        console.say(
            "  ✓ the daily table agrees with the messages; the chat group was told of the one low balance"
        )
    return wrong


def _say_how_to_go_on(console: Console, folder: Path) -> None:
    bin_folder = Path(sys.executable).parent
    exports = folder / "airflow.env"
    console.chapter("Look further")
    for line in (
        f"{folder / 'delivery.html'} and delivery_daily.csv are the nightly DAG's, sms.db has the tables.",
        "",
        "To see these runs in Airflow's own pages, with the vendors played on port 8088, in two terminals:",
        f"  {bin_folder / 'python'} -m airflow_provider_sms.sandbox",
        f"  . {shlex.quote(str(exports))} && {bin_folder / 'airflow'} standalone",
        "and open http://localhost:8080. airflow.env has the connections, and these variables:",
        *(
            f"  {line}"
            for line in exports.read_text(encoding="utf-8").splitlines()
            if "AIRFLOW_CONN" not in line
        ),
        "",
        "Admin > Connections has a form for each vendor; its Test button asks for the balance only.",
        f"  {bin_folder / 'python'} -m airflow_provider_sms.sandbox --connections --port 0",
        "prints a connection to each vendor of a sandbox, for any other Airflow on this machine.",
    ):
        console.say(f"  {line}" if line else "")


if __name__ == "__main__":
    sys.exit(main())
