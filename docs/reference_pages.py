"""
The pages on tables and errors, made from the code at build time.

Columns, types and keys come from the schema, errors from their classes. What a column means stands here, and
a column without a meaning, or a meaning without a column, stops the build.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from markdown_tables import cell, code, table
from sqlalchemy import LargeBinary, Numeric, String, Text
from vendor_pages import write

from airflow_provider_sms import errors
from airflow_provider_sms.store import schema, views
from airflow_provider_sms.store.frames import answers, daily, figures, messages, records, spending
from airflow_provider_sms.store.frames.fields import CODE_MEANING, Kind
from airflow_provider_sms.store.frames.outcomes import BY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from sphinx.application import Sphinx
    from sqlalchemy import Select, Table
    from sqlalchemy.types import TypeEngine

    from airflow_provider_sms.store.frames.fields import Field

#: Tables for users, in reading order; the others are the store's own books.
PUBLIC = (
    "sms_batches",
    "sms_pages",
    "sms_reports",
    "sms_replies",
    "sms_balances",
    "sms_delivery_daily",
)
TITLES: Mapping[str, str] = {
    "sms_batches": "One row per vendor call that sends.",
    "sms_messages": "A view: one row per recipient of a send.",
    "sms_pages": "One row per read that deletes at the vendor, and per push, with the raw bytes.",
    "sms_reports": "One row per delivery report.",
    "sms_replies": "One row per reply.",
    "sms_balances": "One row per balance that a vendor told.",
    "sms_delivery_daily": "One row per local day, account and carrier; made anew from the tables above.",
    "sms_message_status": "A view: what became of each message.",
}
VIEWS: Mapping[str, Callable[[], Select[Any]]] = {
    "sms_messages": views.all_messages,
    "sms_message_status": views.message_status,
}
#: What columns mean; ``table.column`` where the name alone is not enough.
MEANINGS: Mapping[str, str] = {
    "accepted_count": "numbers the vendor took, where it says so",
    "attempts": "how often it was submitted",
    "batch_no": "number of the batch within its send, from 1",
    "body": "the raw bytes, as the vendor sent them",
    "checked_at": "when the vendor told it",
    "claim_expires_at": "when a submit under way counts as ended by a crash",
    "claim_owner": "who submits or submitted it: host, process and a random part",
    "conn_id": "id of the Airflow connection",
    "content": "the text of the reply, line breaks and all",
    "declared": "how many records the vendor said the page has",
    "delivery": (
        "`delivered` or `failed` once a report says so; `pending` when a report says it is not yet known; "
        "`silent` when there is none; `NULL` for messages that did not go out"
    ),
    "dismissed_at": "when a person said that nothing more can be done about it",
    "error": "why it is in this state",
    "error_code": CODE_MEANING,
    "extno": "extension digits behind the sender's number",
    "framing_complete": "whether the body arrived whole",
    "framing_problem": "why it did not",
    "http_status": "HTTP status of the answer",
    "id": "id of the row",
    "landed_at": "when the row was committed",
    "latency_seconds": "seconds from the submit (or the time it was scheduled for) to the report; to its "
    "reading, where a vendor's reports carry no time (wavecom)",
    "dag_id": "the DAG that sent it",
    "task_id": "the task that sent it",
    "run_id": "the DAG run that sent it",
    "map_index": "index of the mapped task, -1 if it is none",
    "mobile_hash": "a keyed hash of the number, where `number_hash_key` is set",
    "mobile": "the number: national, digits only",
    "owner": "who read it: task, host and process",
    "page_id": "id of the page",
    "pay_mode": "`prepaid`, `postpaid` or an empty text",
    "prepared_at": "when it was planned",
    "purged_at": "when bytes, texts and numbers were purged",
    "queue": "`reports` or `replies`",
    "read_at": "when the bytes were committed",
    "received_at": "when the person answered; when it was read, where no time was told (wavecom)",
    "recipients": "numbers in the batch",
    "records": "how many records landed",
    "reference": "our own id of the last submit",
    "remaining": "what is left",
    "reported_at": "when the report says it happened; when it was read, where it says no time (wavecom)",
    "segments": "messages it is charged as, all numbers together",
    "send_at": "when the vendor shall send it; `NULL` is at once",
    "send_id": "the send key's number in the store's own tables",
    "send_key": "names the send",
    "message_id": "the id that all its messages bear",
    "message_ids": "one id per message in their order, as a JSON list",
    "seq": "place within the batch or page",
    "settled_at": "when the outcome was written down",
    "settled_by": "what settled it: `answer`, `report`, `expiry` (its sender died) or `person`",
    "source": "`pull`, or `push`",
    "started_at": "when the read began, before the vendor was called",
    "state": "of the batch: `prepared` `submitting` `accepted` `rejected` `not_sent` `unknown`",
    "status": "`delivered` `failed` `pending` `unknown`",
    "submitted_at": "when it was handed to the vendor last",
    "template_values": "the values of a vendor's own template, as JSON",
    "template_id": "names the template, by the SHA-256 of its text; `NULL` where all get one text",
    "templated": "whether it used the vendor's own template",
    "time_source": "whether the time is the vendor's, or that of the reading",
    "total": "all that was ever bought, where the vendor says so",
    "unit": "`messages`, or `money` (CNY)",
    "vendor": "name of the vendor",
    "vendor_batch_id": "the vendor's id of the submit",
    "vendor_code": "the vendor's return code",
    "vendor_message_id": "the vendor's id; text, leading zeros and all",
    "vendor_status": "the status in the vendor's own words",
    "vendor_text": "the vendor's remark, numbers masked",
    "sms_batches.content": "the text, or the vendor's own template",
    "sms_messages.content": "the text this recipient got",
    "sms_messages.segments": "messages it is charged as",
    "sms_message_status.segments": "messages it is charged as",
    "sms_balances.source": "`check`, or `answer` where the answer to a send told it (beidoutong)",
    "sms_message_status.error_code": f"{CODE_MEANING}; `NULL` without a report",
    "sms_pages.landed_at": "when what it holds had landed",
    "sms_pages.state": "`reading` `read` `landed` `empty` `quarantined` `suspect`",
    **{f"sms_delivery_daily.{field.name}": field.meaning for field in daily.FIELDS},
}


#: Frames by the name of the export and of the function.
FRAMES: Mapping[str, tuple[str, Sequence[Field]]] = {
    "`messages`: `message_frame`": (
        "One row per message, by its submit (its plan, if it was never submitted).",
        (
            *messages.FIELDS,
            messages.CONTENT._replace(meaning=f"{messages.CONTENT.meaning}; in exports, if asked"),
        ),
    ),
    "`reports`: `reports_frame`": (
        "One row per delivery report, doubles and all, by its landing.",
        records.REPORTS,
    ),
    "`replies`: `replies_frame`": (
        "One row per reply; the frame goes by the time of the reply, the export by that of its landing.",
        records.REPLIES,
    ),
    "`answers`: `answers_frame`": (
        "One row per reply, with the message that it answers, by the time of the reply.",
        answers.FIELDS,
    ),
    "`balances`: `balances_frame`": ("One row per balance that a vendor told.", records.BALANCES),
    "`delivery`: `delivery_frame`": (
        "One row per group of messages: rates and latencies. Before `intended` stands what is in `by`.",
        figures.delivery_fields(BY),
    ),
    "`funnel`: `funnel_frame`": (
        "One row per group of messages: how far they came.",
        figures.funnel_fields(BY),
    ),
    "`daily`: `daily_frame`": ("The table `sms_delivery_daily`.", daily.FIELDS),
    "`spending`: `spending_frame`": (
        "One row per day and connection: what was sent against what the balance lost.",
        spending.FIELDS,
    ),
}
#: What pandas and Parquet keep a column as.
TYPES: Mapping[Kind, tuple[str, str]] = {
    Kind.TEXT: ("str", "string"),
    Kind.LABEL: ("category", "dictionary of string"),
    Kind.WHOLE: ("int64", "int64"),
    Kind.MAYBE_WHOLE: ("Int64", "int64"),
    Kind.NUMBER: ("float64", "double"),
    Kind.TIME: ("datetime64[us, UTC]", "timestamp[us, UTC]"),
    Kind.DAY: ("datetime64[us]", "the folder"),
}


class UndocumentedError(Exception):
    """A column has no meaning here, or a meaning has no column."""


def tables() -> str:
    """Make the reference of all public tables and the view."""
    used: set[str] = set()
    parts = [part for name in PUBLIC for part in _table(schema.metadata.tables[name], used)]
    for name, select in VIEWS.items():
        parts += [f"## {name}\n", f"{TITLES[name]}\n", _view(name, select(), used)]
    own = ", ".join(map(code, sorted(set(schema.metadata.tables) - set(PUBLIC))))
    parts.append(f"The tables {own} are the store's own books; they may change in any release.\n")
    if spare := sorted(set(MEANINGS) - used):
        raise UndocumentedError(f"meanings without a column: {', '.join(spare)}")
    return "\n".join(parts)


def _view(name: str, selected: Select[Any], used: set[str]) -> str:
    columns = selected.selected_columns
    rows = ([code(column.name), _kind(column.type), _meaning(name, column.name, used)] for column in columns)
    return table(["column", "type", "meaning"], rows)


def _table(described: Table, used: set[str]) -> Iterator[str]:
    yield f"## {described.name}\n"
    yield TITLES[described.name] + "\n"
    rows = [
        [
            f"**{code(column.name)}**" if column.primary_key else code(column.name),
            _kind(column.type),
            "yes" if column.nullable else "no",
            _meaning(described.name, column.name, used),
        ]
        for column in described.columns
    ]
    yield table(["column", "type", "NULL", "meaning"], rows)
    yield f"Key: {', '.join(code(column.name) for column in described.primary_key)}.\n"
    for index in sorted(described.indexes, key=lambda each: str(each.name)):
        kind = "Unique index" if index.unique else "Index"
        yield f"{kind} `{index.name}`: {', '.join(code(column.name) for column in index.columns)}.\n"


def _kind(kind: TypeEngine[object]) -> str:
    plain = getattr(kind, "impl", kind)
    if type(kind).__name__ == "UtcDateTime":
        return "time (UTC)"
    if type(kind).__name__ == "Amount" or (isinstance(plain, Numeric) and plain.asdecimal):
        return "decimal"
    if isinstance(plain, LargeBinary):
        return "bytes"
    if isinstance(plain, Text):
        return "text"
    if isinstance(plain, String):
        return f"text({plain.length})" if plain.length else "text"
    return str(plain.__visit_name__).lower().replace("_", " ")


def _meaning(owner: str, column: str, used: set[str]) -> str:
    for name in (f"{owner}.{column}", column):
        if name in MEANINGS:
            used.add(name)
            return MEANINGS[name]
    raise UndocumentedError(f"{owner}.{column} has no meaning in {Path(__file__).name}")


def frame_tables() -> str:
    """Make the reference of all frames: their columns, how pandas and Parquet keep them, what they say."""
    parts = []
    for name, (title, fields) in FRAMES.items():
        rows = (
            [code(field.name), *map(code, TYPES[field.kind]), field.meaning]
            for field in fields
            if field.meaning
        )
        parts += [f"### {name}\n", f"{title}\n", table(["column", "pandas", "Parquet", "meaning"], rows)]
    return "\n".join(parts)


def error_table() -> str:
    """Make the table of errors: what they mean, and what Airflow does with them."""
    rows = [
        [
            f"{'&nbsp;&nbsp;' * depth}{{py:class}}`~airflow_provider_sms.errors.{error.__name__}`",
            cell(_summary(error)),
            "the task fails at once" if error.terminal else "the task's retries apply",
        ]
        for depth, error in _tree(errors.SmsError, 0)
    ]
    return table(["error", "what happened", "in an operator or sensor"], rows)


def _tree(error: type[errors.SmsError], depth: int) -> Iterator[tuple[int, type[errors.SmsError]]]:
    for each in error.__subclasses__():
        if each.__module__ == errors.__name__:
            yield depth, each
            yield from _tree(each, depth + 1)


def _summary(error: type[errors.SmsError]) -> str:
    return " ".join((error.__doc__ or "").strip().partition("\n\n")[0].split())


def generate(app: Sphinx) -> None:
    """Write the tables into ``_generated``."""
    folder = Path(app.srcdir) / "_generated"
    folder.mkdir(exist_ok=True)
    write(folder / "tables.md", tables())
    write(folder / "frames.md", frame_tables())
    write(folder / "errors.md", error_table())


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    app.connect("builder-inited", generate)
    return {"parallel_read_safe": True}
