"""
R10: a password, a token, texts and 1,000 numbers that must be seen nowhere, while everything is done.

Each vendor's connection is used in every way, in good weather and in bad, with a wrong password, and with
mistakes at random lines and statements, so that tracebacks are told from everywhere; every logger speaks
at DEBUG, the sandbox's as well. What was printed, logged, raised, returned, rendered and serialized is
searched.
"""

from __future__ import annotations

import json
import os
import random
import tempfile
from collections import Counter
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import lines
from canary_forms import FORMS, NUMBERS, PASSWORD, PLAIN_PASSWORD, REPLY, TOKEN, found_when_planted, hits
from children import FAILED
from figures import Figure, Progress, Proof, all_of, at_least, none, record
from side_by_side import ended, take_turns

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

_VENDORS = ("beidoutong", "wavecom", "linkws", "smsadmin")
_FAULTS = (
    "", "reset_before", "reset_after", "cut", "status", "html", "garbage", "redirect", "busy",
    "wrong_charset", "wrong_count", "empty", "close", "drip",
)  # fmt: skip
_CRASHES = 40
_LINES = 20_000
_OPERATIONS = ("send", "send_template", "balance", "words", "reports", "replies")


def prove(size: float, progress: Progress) -> list[Figure]:
    """Do everything so often, and search what was said."""
    folder = Path(tempfile.mkdtemp())
    _prepare(folder)
    chance = random.Random(progress.seed)  # noqa: S311 - a proof that can be repeated
    rounds = list(_rounds(size, chance))
    seen = _Seen(len(rounds))
    todo = iter(enumerate(rounds))
    take_turns(_side(folder, todo, seen, progress) for _ in range(max(1, progress.jobs)))
    for place in sorted(seen.places)[:20]:
        progress.tell(place)
    return [
        record("rounds of everything", len(rounds)),
        record("acts", seen.acts.total()),
        at_least("acts that raised something", seen.acts.total() - seen.acts["ok"], len(rounds)),
        at_least("megabytes of output", seen.characters / 1e6, 0.1 * len(rounds) / 4),
        all_of("forms found where they were planted", found_when_planted(), FORMS),
        none("hits", seen.hits),
    ]


class _Seen:
    """What was found so far."""

    def __init__(self, rounds: int) -> None:
        self.rounds = rounds
        self.done = self.hits = self.characters = 0
        self.acts: Counter[str] = Counter()
        self.places: set[str] = set()


def _rounds(size: float, chance: random.Random) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Give vendor, what goes wrong, and what that takes."""
    for vendor in _VENDORS:
        faults = _FAULTS if size >= 1 else chance.sample(_FAULTS, max(1, round(len(_FAULTS) * size)))
        for fault in faults:
            yield vendor, fault or "fine", {"fault": fault}
        yield vendor, "wrong password", {"wrong_password": True}
        for _ in range(max(1, round(_CRASHES * size))):
            at = round(_LINES ** chance.random())
            yield vendor, f"mistake at line {at}", {"around": partial(lines.striking_after, at, lines.fail)}


def _side(
    folder: Path, todo: Iterator[tuple[int, tuple[str, str, dict[str, Any]]]], seen: _Seen, progress: Progress
) -> Generator[None, None, None]:
    for number, (vendor, name, given) in todo:
        log, told = folder / f"{number}.log", folder / f"{number}.json"
        end = yield from ended(_round(folder / f"{number}", vendor, told, **given), log)
        text = log.read_text(encoding="utf-8", errors="replace")
        if end.code == FAILED or not told.exists():
            raise RuntimeError(f"{vendor}, {name}: {text[-3000:]}")
        found = hits(text)
        seen.hits += len(found)
        seen.places |= {f"{vendor}, {name}: {each}" for each in found}
        seen.acts.update(json.loads(told.read_text(encoding="utf-8")).values())
        seen.characters += len(text)
        seen.done += 1
        progress(seen.done, seen.rounds, f"{seen.hits} hits in {seen.characters / 1e6:.1f} MB")
        log.unlink()


def _round(
    folder: Path,
    vendor: str,
    told: Path,
    *,
    fault: str = "",
    wrong_password: bool = False,
    around: Callable[[], Any] | None = None,
) -> Callable[[], int]:
    def work() -> int:
        import canary_acts

        from airflow_provider_sms.sandbox import Fault, Sandbox
        from airflow_provider_sms.vendors.smsadmin import SmsAdminVendor

        SmsAdminVendor.intervals = {}
        folder.mkdir()
        canary_acts.listen()
        with Sandbox(smsadmin_poll_interval=0, linkws_balance_interval=0) as sandbox:
            password = PLAIN_PASSWORD if vendor == "smsadmin" else PASSWORD
            sandbox.account(vendor).password = "another" if wrong_password else password
            fields = sandbox.connection(vendor, **_extra(vendor)) | {"password": password}
            _connect(vendor, fields, folder)
            if vendor != "linkws":
                sandbox.queue_replies(vendor, [(number, REPLY) for number in NUMBERS[:150]])
                sandbox.queue_reports(vendor, [{"mobile": number} for number in NUMBERS[:150]])
            if fault:
                sandbox.faults.add(*(Fault(fault, operation=each, times=2) for each in _OPERATIONS))
            how = canary_acts.perform(vendor, f"sms_{vendor}", *([around] if around else []))
        told.write_text(json.dumps(how), encoding="utf-8")
        return 0

    return work


def _extra(vendor: str) -> dict[str, Any]:
    extra: dict[str, Any] = {"timeout": 1, "max_in_flight": 2}
    return extra | ({"push_token": TOKEN} if vendor == "smsadmin" else {})


def _connect(vendor: str, fields: dict[str, Any], folder: Path) -> None:
    """Declare the connection and a store of this round."""
    store = {"conn_type": "sqlite", "host": str(folder / "sms.db")}
    os.environ |= {
        f"AIRFLOW_CONN_SMS_{vendor.upper()}": json.dumps(fields),
        "AIRFLOW_CONN_SMS_STORE": json.dumps(store),
        "AIRFLOW__SMS__SPOOL_DIR": str(folder / "spool"),
        "AIRFLOW__SMS__PUSH_CONNECTIONS": f"sms_{vendor}",
    }


def _prepare(folder: Path) -> None:
    """Make an Airflow of our own, before anything imports the other one, and import what rounds need."""
    for name in [name for name in os.environ if name.startswith("AIRFLOW")]:
        del os.environ[name]
    os.environ |= {
        "AIRFLOW_HOME": str(folder / "airflow"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "DEBUG",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{folder}/airflow.db",
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(folder / "airflow" / "logs"),
        # As on a server: commands find connections there.
        "_AIRFLOW_PROCESS_CONTEXT": "server",
    }
    from airflow.utils.db import initdb

    initdb()
    import airflow_provider_sms.operators.sms
    import airflow_provider_sms.plugin.server
    import airflow_provider_sms.sensors.sms  # noqa: F401


PROOF = Proof("R10", "Canary secrets in everything that is done, at DEBUG, with mistakes everywhere", prove)
