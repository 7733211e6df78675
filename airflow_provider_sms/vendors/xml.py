"""
Reading the XML that .NET services answer with: SOAP 1.1, SOAP 1.2 and the bare result of a form call.

The tree may have been cut anywhere (:mod:`~airflow_provider_sms.vendors.xml_tree`): every record that was
closed before the cut is given, and never half of one.

Elements are found by their local names: the vendors' documents lost the namespaces, and the three kinds of
answer differ in them. No text of an answer gets into an error: a fault may quote the request.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from airflow_provider_sms.vendors.xml_tree import OK, no_answer, parse, problem_of, restored

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from zoneinfo import ZoneInfo

    from lxml.etree import _Element

    from airflow_provider_sms.vendors.xml_tree import Tree
    from airflow_provider_sms.wire import WireResponse

#: SOAP fault codes, and what they say of the service.
_FAULTS = {
    "Sender": "it refused the request",
    "Client": "it refused the request",
    "Receiver": "it failed",
    "Server": "it failed",
    "VersionMismatch": "it speaks another SOAP version: change the connection's extra field 'soap_version'",
    "MustUnderstand": "it does not know a header",
    "DataEncodingUnknown": "it does not know the encoding",
}
#: What .NET calls the answer to a form call that is one value.
_VALUES = frozenset({"int", "long", "short", "unsignedInt", "unsignedLong", "decimal", "string"})


@dataclass(frozen=True, slots=True)
class Answer:
    """
    One answer, as far as it could be read.

    :param fields: the simple elements of the result by local name; an empty or nil one is ``""``.
    :param records: the closed children of the result's list; ``None`` when there is no list.
    :param closed: whether the XML itself is whole.
    :param problem: why the answer is not known to be whole, without any content of it.
    :param flat: whether no element of a record holds further elements.
    :param stood_in: whether stand-ins took the place of characters that XML cannot carry.
    """

    fields: dict[str, str]
    records: list[_Element] | None
    closed: bool
    problem: str
    flat: bool = False
    stood_in: bool = False

    def rows(self, record_name: str, names: Sequence[str]) -> Iterator[tuple[str | None, ...] | str]:
        """
        Give each record's values in the order of ``names``; for a record that cannot be read, what is wrong.

        A value is ``None`` where the record lacks the element (.NET leaves a null out), ``""`` where it is
        empty or nil.

        :param record_name: local name of a record.
        :param names: local names of its elements, in the order in which the service writes them.
        """
        records = self.records or []
        space = records[0].tag.removesuffix(record_name) if records else ""
        record_tag = space + record_name
        tags = [space + name for name in names]
        for record in records:
            cells = list(record)
            row: tuple[str | None, ...] | str
            # Nearly every record is of this form; finding its values by name takes three times as long.
            if self.flat and record.tag == record_tag and [cell.tag for cell in cells] == tags:
                row = tuple([cell.text or "" for cell in cells])
            elif _local(record) == record_name:
                row = _row_by_name(cells, names)
            else:
                row = "is none"
            if self.stood_in and not isinstance(row, str):
                row = _restored_row(row, names)
            yield row


class LocalTimes(dict[str, "datetime | None"]):
    """
    The times of one page, each read once: the vendor's local time as text to aware UTC.

    An empty text, and the year 1 that .NET prints for "no time", give ``None``; a text that is no time raises
    ``ValueError``. Use it for one page and let it go.

    :param zone: the vendor's time zone.
    """

    _USUAL = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[ T][0-9]{2}:[0-9]{2}:[0-9]{2}")
    # ``2019/4/15 9:08:10`` is how .NET prints a time under Chinese settings.
    _OTHER = re.compile(
        r"([0-9]{4})[-/]([0-9]{1,2})[-/]([0-9]{1,2})[ T]([0-9]{1,2}):([0-9]{2}):([0-9]{2})(\.[0-9]{1,9})?"
        r"(Z|[+-][0-9]{2}:[0-9]{2})?"
    )

    def __init__(self, zone: ZoneInfo) -> None:
        super().__init__()
        self._zone = zone
        self._offsets: dict[str, timedelta] = {}

    def __missing__(self, written: str) -> datetime | None:
        """Read a time that has not been read before."""
        try:
            moment = (
                self._read_usual(written) if self._USUAL.fullmatch(written) else self._read_other(written)
            )
        except OverflowError as error:
            msg = "no time of the calendar"
            raise ValueError(msg) from error
        self[written] = moment
        return moment

    def _read_usual(self, written: str) -> datetime | None:
        # A zone's offset changes on full minutes. Asking the zone for every time takes four times as long.
        minute = written[:16]
        offset = self._offsets.get(minute)
        if offset is None:
            local = datetime.fromisoformat(written)
            if local.year == 1:
                return None
            offset = local.replace(tzinfo=self._zone).utcoffset() or timedelta()
            self._offsets[minute] = offset
        return datetime.fromisoformat(written + "Z") - offset

    def _read_other(self, written: str) -> datetime | None:
        written = written.strip()
        if not written:
            return None
        found = self._OTHER.fullmatch(written)
        if found is None:
            msg = "no time"
            raise ValueError(msg)
        year, month, day, hour, minute, second = (part.zfill(2) for part in found.groups()[:6])
        fraction, offset = (found[7] or "")[:7], found[8] or ""
        local = datetime.fromisoformat(f"{year}-{month}-{day}T{hour}:{minute}:{second}{fraction}{offset}")
        if local.year == 1:
            return None
        return (local if local.tzinfo else local.replace(tzinfo=self._zone)).astimezone(UTC)


def read_answer(response: WireResponse, operation: str, type_name: str, list_name: str = "") -> Answer:
    """
    Read the answer to one operation of a .NET service.

    :param operation: its name: ``"QueryStatus"`` is answered by ``QueryStatusResponse/QueryStatusResult``.
    :param type_name: name of the result's type, the root of the answer to a form call.
    :param list_name: name of the element that holds the records, if the result has one.
    :raises WireFormatError: this is no answer to that operation.
    """
    tree = parse(response)
    result = _result(response, tree, operation, type_name)
    problem = problem_of(response, tree)
    fields: dict[str, str] = {}
    records: list[_Element] | None = None
    for child in () if result is None else result:
        name = _local(child)
        if name == list_name:
            records = [] if records is None else records
            records += [record for record in child if record not in tree.still_open]
            if child.xpath("boolean(text()[normalize-space()])"):
                # Records that are written as text, perhaps: read as none, they would be gone.
                problem = problem or f"a {list_name} that holds text beside its records"
        elif child in tree.still_open:
            pass
        elif name in fields or len(child):
            problem = problem or f"a {type_name} that is not of the documented form"
        else:
            fields[name] = (restored(child.text or "") or "") if tree.stood_in else child.text or ""
    if not records and response.status != OK:
        raise no_answer(response, "no answer of its own")
    flat = result is not None and not result.xpath("count(*/*/*/*)")
    return Answer(fields, records, not tree.problem, problem, flat, tree.stood_in)


def single_value(response: WireResponse) -> str:
    """
    Read an answer that is one value: ``<int>5</int>``, or the same in a SOAP envelope.

    A number in another element, as ``<h1>404</h1>``, is a gateway's.

    :raises WireFormatError: it is anything else, or not whole.
    """
    tree = parse(response)
    result = _result(response, tree)
    if tree.problem:
        raise no_answer(response, problem_of(response, tree))
    if result is None or len(result) or response.status != OK:
        raise no_answer(response, "XML that does not hold one value")
    return (result.text or "").strip()


def _local(element: _Element) -> str:
    return str(element.tag).rpartition("}")[2]


def _result(response: WireResponse, tree: Tree, operation: str = "", type_name: str = "") -> _Element | None:
    """Find a form answer's root, or ``Envelope/Body/xResponse/xResult``; ``None`` if the XML ends before."""
    place: _Element | None = tree.root
    if _local(tree.root).lower() == "html":
        raise no_answer(response, "an HTML page")
    if _local(tree.root) != "Envelope":
        if _local(tree.root) not in ({type_name, f"{operation}Result"} if type_name else _VALUES):
            raise no_answer(response, f"XML that is no {type_name}" if type_name else "XML that is no value")
        return tree.root
    for name in ("Body", f"{operation}Response", f"{operation}Result"):
        children = () if place is None else place
        # Where the operation's name is not known, the first element will do.
        wanted = {name, "Fault"} if operation or name == "Body" else None
        place = next((child for child in children if wanted is None or _local(child) in wanted), None)
        if place is not None and _local(place) == "Fault":
            raise no_answer(response, f"a SOAP fault: {_fault(place)}")
    if place is None and not tree.problem:
        raise no_answer(response, f"a SOAP envelope without a result of {operation or 'the operation'}")
    return place


def _fault(fault: _Element) -> str:
    codes = ((element.text or "").strip().rpartition(":")[2] for element in fault.iter())
    return next((f"{_FAULTS[code]} ({code})" for code in codes if code in _FAULTS), "of an unknown kind")


def _row_by_name(cells: Sequence[_Element], names: Sequence[str]) -> tuple[str | None, ...] | str:
    found: dict[str, str] = {}
    for cell in cells:
        name = _local(cell)
        shown = name if name in names else "an unknown element"
        if name in found:
            return f"has {shown} twice"
        if len(cell):
            return f"has further elements inside of {shown}"
        found[name] = cell.text or ""
    missing = [name for name in names if name not in found]
    if missing and not found.keys() <= set(names):
        # A null is left out; but beside an element we don't know it may as well have been renamed.
        return f"has no {missing[0]}, but an unknown element"
    return tuple([found.get(name) for name in names])


def _restored_row(row: tuple[str | None, ...], names: Sequence[str]) -> tuple[str | None, ...] | str:
    values = tuple([value and restored(value) for value in row])
    for name, before, after in zip(names, row, values, strict=True):
        if before and after is None:
            return f"has characters in {name} that cannot be read"
    return values
