"""
A page per vendor and the table of features, made from the vendors' classes at build time.

What a class declares (fields, limits, intervals, return codes) is what the code does, so these pages cannot
say anything else. What a class cannot say stands in ``vendor_notes/<name>.md``.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from markdown_tables import cell, code, table

from airflow_provider_sms.records import Queue
from airflow_provider_sms.vendors.accounts import fields_of
from airflow_provider_sms.vendors.base import Operation
from airflow_provider_sms.vendors.registry import vendors

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from sphinx.application import Sphinx

    from airflow_provider_sms.vendors.base import Code, ConnectionField, Vendor

HERE = Path(__file__).parent
OPERATIONS = {
    Operation.SEND: "send",
    Operation.SEND_TEMPLATE: "send from a template of the vendor's own",
    Operation.BALANCE: "balance",
    Operation.CHECK_WORDS: "check a text for forbidden words",
    Operation.REPORTS: "delivery reports",
    Operation.REPLIES: "replies",
    Operation.PUSH: "push of reports and replies",
}
CODES = """\
A code's meaning depends on what was asked. *Retried* means that Airflow may try the task again; all other
refusals fail it at once. A code that is not listed is never taken for a yes.
"""
_HOUR = 3600


def features() -> str:
    """Make the table of vendors and what they can do; it stands in the README, too."""
    every = list(vendors().values())
    rows = [["connection type", *(code(vendor.conn_type) for vendor in every)]]
    rows += [
        [title, *("yes" if vendor.supports(operation) else "no" for vendor in every)]
        for operation, title in OPERATIONS.items()
    ]
    rows += [
        ["numbers per submit", *(f"{vendor.limits.numbers:,}" for vendor in every)],
        ["longest text", *(_longest(vendor) for vendor in every)],
        ["reports per read", *(_page(vendor, Queue.REPORTS) for vendor in every)],
        ["replies per read", *(_page(vendor, Queue.REPLIES) for vendor in every)],
        ["charset", *(vendor.charset for vendor in every)],
    ]
    return table(["", *(f"{vendor.name}<br>{vendor.title}" for vendor in every)], rows)


def page(vendor: Vendor) -> str:
    """Make a vendor's page."""
    parts = [
        f"# {vendor.name}: {vendor.title}\n",
        f"Follows the vendor's document 《{vendor.document}》.\n",
        table(["", ""], _overview(vendor)),
        _notes(vendor),
        "## Connection\n",
        _connection(vendor),
        "### Extra fields of this vendor\n",
        _fields(vendor.fields) if vendor.fields else "None.\n",
        "### Extra fields that other vendors have, too\n",
        _fields([field for field in fields_of(vendor) if field not in vendor.fields]),
        "## Return codes\n",
        CODES,
        *_codes(vendor),
    ]
    return "\n".join(parts)


def _overview(vendor: Vendor) -> Iterator[list[str]]:
    from airflow_provider_sms.hooks.sms import SmsHook

    hook = next(each for each in SmsHook.__subclasses__() if each.vendor_name == vendor.name)
    limits = vendor.limits
    yield ["Connection type", code(vendor.conn_type)]
    yield ["Hook", f"{{py:class}}`~airflow_provider_sms.hooks.sms.{hook.__name__}`"]
    yield ["Operations", ", ".join(OPERATIONS[each] for each in OPERATIONS if vendor.supports(each))]
    yield ["Charset of texts", f"{vendor.charset} (the extra field `encoding` overrides it)"]
    yield ["Numbers per submit", f"{limits.numbers:,}"]
    yield ["Longest text, in characters", _longest(vendor)]
    if limits.template_rows:
        yield ["Rows per template submit", f"{limits.template_rows:,}"]
    yield ["Signature at the end of the text", "required" if limits.signature_at_end else "not asked for"]
    extno = f"up to {limits.extno_digits} digits" if limits.extno_digits else "none"
    yield ["Extension number (`extno`)", extno]
    yield ["Numbers with an area code", "taken" if limits.landline else "refused before anything is sent"]
    for operation in (Operation.REPORTS, Operation.REPLIES):
        if vendor.supports(operation):
            yield [f"One read of {operation.value}", _pace(vendor, operation)]
    if Operation.BALANCE in vendor.intervals:
        yield ["Balance", f"at most every {vendor.intervals[Operation.BALANCE]:g} s"]
    yield ["Balance is counted in", "CNY" if vendor.balance_unit == "money" else "messages"]
    if vendor.supports(Operation.REPORTS):
        own = "yes: a report settles a send whose answer was lost" if vendor.reports_bear_reference else "no"
        yield ["Reports bear our own reference", own]


def _pace(vendor: Vendor, operation: Operation) -> str:
    size = vendor.page_sizes[Queue(operation.value)]
    interval = vendor.intervals.get(operation)
    if not interval:
        return f"{size:,} records"
    return f"{size:,} records, at most every {interval:g} s: {int(_HOUR / interval * size):,} an hour"


def _longest(vendor: Vendor) -> str:
    return f"{vendor.limits.characters:,}" if vendor.limits.characters else "not stated"


def _page(vendor: Vendor, queue: Queue) -> str:
    return f"{vendor.page_sizes[queue]:,}" if queue in vendor.page_sizes else "none"


def _notes(vendor: Vendor) -> str:
    return (HERE / "vendor_notes" / f"{vendor.name}.md").read_text(encoding="utf-8")


def _connection(vendor: Vendor) -> str:
    extra = {field.name: "..." for field in vendor.fields if field.required}
    example: dict[str, Any] = {
        "conn_type": vendor.conn_type,
        "schema": vendor.scheme,
        "host": vendor.host_example.partition(":")[0],
        "login": vendor.login_label,
        "password": "...",
    }
    if port := vendor.host_example.partition(":")[2]:
        example["port"] = int(port)
    if extra:
        example["extra"] = extra
    shown = json.dumps(example, ensure_ascii=False, indent=2)
    use = "As JSON, for `airflow connections add --conn-json` or an `AIRFLOW_CONN_…` variable:"
    return f"{use}\n\n```json\n{shown}\n```\n"


def _fields(fields: Sequence[ConnectionField]) -> str:
    header = ["field", "type", "default", "allowed", "meaning"]
    return table(header, [_field(field) for field in fields])


def _field(field: ConnectionField) -> list[str]:
    return [code(field.name), field.kind, _default(field), _allowed(field), cell(field.description)]


def _default(field: ConnectionField) -> str:
    if field.required:
        return "**required**"
    if field.default is None:
        return ""
    return code(json.dumps(field.default) if field.kind == "boolean" else field.default)


def _allowed(field: ConnectionField) -> str:
    if field.choices:
        return ", ".join(map(code, field.choices))
    bounds = []
    if field.minimum is not None:
        bounds.append(f"≥ {field.minimum:,g}")
    if field.maximum is not None:
        bounds.append(f"≤ {field.maximum:,g}")
    return ", ".join(bounds)


def _codes(vendor: Vendor) -> Iterator[str]:
    # Operations that share one table share one heading.
    shared: dict[int, list[Operation]] = {}
    for operation, codes in vendor.codes.items():
        shared.setdefault(id(codes), []).append(operation)
    for operations in shared.values():
        codes = vendor.codes[operations[0]]
        if codes:
            yield f"### {', '.join(OPERATIONS[operation] for operation in operations).capitalize()}\n"
            yield _code_table(codes)


def _code_table(codes: Mapping[str, Code]) -> str:
    return table(
        ["code", "meaning", "raises", "retried", "what to do"],
        (
            [
                code(value),
                cell(known.meaning),
                f"{{py:class}}`~airflow_provider_sms.errors.{known.error.__name__}`" if known.error else "",
                "yes" if known.retryable else "no" if known.error else "",
                cell(known.advice),
            ]
            for value, known in codes.items()
        ),
    )


def generate(app: Sphinx) -> None:
    """Write the pages into ``_generated``."""
    folder = Path(app.srcdir) / "_generated"
    (folder / "vendors").mkdir(parents=True, exist_ok=True)
    write(folder / "features.md", features())
    for vendor in vendors().values():
        write(folder / "vendors" / f"{vendor.name}.md", page(vendor))


def write(path: Path, text: str) -> None:
    """Write a generated file only if it changed, so that Sphinx does not read it anew each time."""
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    app.connect("builder-inited", generate)
    return {"parallel_read_safe": True}
