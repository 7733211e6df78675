"""What the tests of all vendors share: accounts, answers, and the wire samples with what they mean."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, is_dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_sms.records import Page, Pushed
from airflow_provider_sms.vendors.accounts import check_account
from airflow_provider_sms.vendors.registry import vendors
from airflow_provider_sms.wire import WireResponse

#: Of every account here unless a test gives another.
PASSWORD = "Pa55 w&rd"
WIRE = Path(__file__).parent.parent / "wire"

#: Kind of a sample, as its file name says it: the parser that reads it.
PARSERS = {
    "submit": "parse_submit",
    "template": "parse_template",
    "balance": "parse_balance",
    "words": "parse_words",
    "reports": "parse_reports",
    "replies": "parse_replies",
    "push": "parse_push",
}


def make_account(vendor, *, conn_id="sms_test", login="uid1", password=PASSWORD, **extra: Any):
    """Make an account; extra fields that the vendor cannot do without get a number."""
    required = {field.name: "42" for field in vendor.fields if field.required}
    return check_account(
        vendor,
        conn_id,
        host="sms.example.com",
        port=None,
        schema="https",
        login=login,
        password=password,
        extra={**required, **extra},
    )


def answer(body, charset="gb18030", **framing: Any):
    """Make an answer of a text or bytes; whole unless ``complete=False``."""
    return WireResponse(200, body if isinstance(body, bytes) else body.encode(charset), **framing)


def plain(value: Any) -> Any:
    """Bring a parser's result to what JSON can say; whatever is empty is left out."""
    if isinstance(value, Pushed):
        return {"account": value.account, "records": [plain(value.record)]}
    if hasattr(value, "_asdict"):
        return {name: plain(item) for name, item in value._asdict().items() if item not in ("", None)}
    if is_dataclass(value):
        return {name: plain(item) for name, item in asdict(value).items() if item not in ("", None, ())}
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, (tuple, list)):
        return [plain(item) for item in value]
    return value.isoformat() if hasattr(value, "isoformat") else value


@dataclass(frozen=True)
class Sample:
    """An answer (or pushed event) of a vendor, and what ``.expected.json`` beside it says it means."""

    vendor: Any
    path: Path
    kind: str
    body: bytes
    expected: dict[str, Any]

    @property
    def parser(self):
        """The name of the parser that reads it."""
        return PARSERS[self.kind]

    @property
    def account(self):
        """The account it came to."""
        return make_account(self.vendor, **self.expected.get("options", {}))

    def parse(self, body=None, account=None, **framing: Any):
        """Read the sample, or other bytes in its place."""
        body = self.body if body is None else body
        parser = getattr(self.vendor, self.parser)
        if self.kind == "push":
            return parser(account or self.account, "", body)
        return parser(account or self.account, answer(body, **framing))

    def check(self, result):
        """Compare a result with what is expected of the whole sample."""
        if self.kind == "words":
            assert list(result) == self.expected["words"]
        elif isinstance(result, Page):
            assert plain(result.records) == [plain(record) for record in self.records]
            assert result.complete is self.expected.get("complete", True)
            assert bool(result.problem) is not result.complete
            if "declared" in self.expected:
                assert result.declared == self.expected["declared"]
        elif isinstance(result, Pushed):
            assert plain(result) == {"account": self.expected["account"], "records": self.records}
        else:
            assert (
                plain(result)
                == self.expected[{"submit": "receipt", "template": "receipt"}.get(self.kind, self.kind)]
            )

    def check_prefix(self, records):
        """Compare some records with the first ones of the sample."""
        assert plain(records) == self.records[: len(records)]

    @property
    def records(self):
        """The expected records, whatever is empty left out."""
        given = self.expected["records"]
        return [{name: item for name, item in record.items() if item not in ("", None)} for record in given]


def read_samples() -> list[Sample]:
    """Read every sample of every vendor."""
    samples = []
    for vendor in vendors().values():
        for path in sorted((WIRE / vendor.name).iterdir()):
            if path.name.endswith(".expected.json"):
                continue
            kind = path.stem.split("-")[1]
            expected = json.loads(path.with_name(f"{path.stem}.expected.json").read_text("utf-8"))
            samples.append(Sample(vendor, path, kind, path.read_bytes(), expected))
    return samples


def pytest_generate_tests(metafunc):
    """Give a test that asks for ``vendor`` or ``sample`` each of them in turn."""
    if "vendor" in metafunc.fixturenames and metafunc.module.__name__.endswith("test_contract"):
        metafunc.parametrize("vendor", vendors().values(), ids=list(vendors()))
    if "sample" in metafunc.fixturenames:
        samples = read_samples()
        metafunc.parametrize("sample", samples, ids=[f"{s.vendor.name}/{s.path.name}" for s in samples])


@pytest.fixture(scope="session")
def shelf():
    """Give every wire sample of every vendor."""
    return read_samples()


@pytest.fixture
def account_of():
    """Make accounts: ``account_of(vendor, **extra)``."""
    return make_account


@pytest.fixture
def says():
    """Make answers: ``says("0|1|0|6408676")``, cut off with ``complete=False``."""
    return answer
