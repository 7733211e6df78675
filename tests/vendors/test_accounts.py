from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_sms.errors import PreflightError
from airflow_provider_sms.vendors.accounts import SHARED_FIELDS, check_account, fields_of
from airflow_provider_sms.vendors.base import ConnectionField
from airflow_provider_sms.vendors.forms import ui_field_behaviour
from airflow_provider_sms.vendors.registry import vendor_named
from airflow_provider_sms.vendors.wavecom import WavecomVendor

WAVECOM = WavecomVendor()


class PickyVendor(WavecomVendor):
    """A vendor with a field of each kind."""

    fields = (
        ConnectionField("word", "Word", "A word.", required=True),
        ConnectionField("size", "Size", "A size.", "integer", 5, minimum=1, maximum=10),
        ConnectionField("share", "Share", "A share.", "number", 0.5, minimum=0),
        ConnectionField("loud", "Loud", "Whether loud.", "boolean", default=False),
        ConnectionField("mode", "Mode", "A mode.", default="a", choices=("a", "b")),
        ConnectionField("timeout", "Time-out", "Its own time-out.", "number", 99.0),
    )

    def check_options(self, options):
        """Refuse one combination."""
        return ["mode 'b' must not be loud"] if options["mode"] == "b" and options["loud"] else []


def check(vendor=WAVECOM, **given: Any):
    fields = {"host": "sms.example.com", "port": None, "schema": "http", "login": "u", "password": "p"}
    fields |= {name: given.pop(name) for name in list(given) if name in fields}
    return check_account(vendor, "sms_main", **fields, extra=given)


def problems(vendor=WAVECOM, **fields: Any):
    with pytest.raises(PreflightError) as caught:
        check(vendor, **fields)
    assert "'sms_main'" in str(caught.value)
    return caught.value.problems


@pytest.mark.parametrize(
    ("fields", "base_url"),
    [
        ({}, "http://sms.example.com"),
        ({"schema": None}, "http://sms.example.com"),
        ({"schema": "HTTPS"}, "https://sms.example.com"),
        ({"port": 8088}, "http://sms.example.com:8088"),
        ({"host": "sms.example.com:8088"}, "http://sms.example.com:8088"),
        ({"host": "https://sms.example.com/gate/", "schema": ""}, "https://sms.example.com/gate"),
        ({"host": "sms.example.com/gate", "base_path": "/v1/"}, "http://sms.example.com/gate/v1"),
        ({"host": "[::1]", "port": 80}, "http://[::1]:80"),
        ({"host": " 116.204.97.93 "}, "http://116.204.97.93"),
    ],
)
def test_addresses_as_people_write_them(fields, base_url):
    assert check(**fields).endpoint.base_url == base_url


@pytest.mark.parametrize(
    "fields",
    [
        {"host": None},
        {"host": "  "},
        {"host": "http://"},
        {"host": "u:p@sms.example.com"},
        {"host": "sms.example.com?x=1"},
        {"host": "sms.example.com/gate?x=1"},
        {"host": "sms.example.com\r\nX: y"},
        {"host": "sms.example.com:8088", "port": 80},
        {"host": "::1"},
        {"host": "sms.example.com", "port": 70000},
        {"base_path": "a b"},
        {"base_path": "a#b"},
        {"schema": "ftp"},
        {"host": "https://sms.example.com", "schema": "http"},
        {"signature": False},
        {"redirect_hosts": ["sms.example.com"]},
        {"proxy": {"host": "proxy"}},
        {"login": ""},
        {"password": None},
        {"timezone": "Peking"},
        {"timezone": "../etc/passwd"},
        {"timeout": 0},
        {"timeout": "nan"},
        {"timeout": "inf"},
        {"timeout": "soon"},
        {"requests_per_second": float("nan")},
        {"max_in_flight": 1.5},
        {"max_in_flight": 65},
        {"encoding": "latin-1"},
    ],
)
def test_each_is_a_problem_that_says_what_to_do(fields):
    found = problems(**fields)
    assert len(found) == 1
    assert any(word in found[0] for word in ("set it", "set the", "must", "use for instance"))


@pytest.mark.parametrize(("name", "scheme"), [("linkws", "https"), ("wavecom", "http")])
def test_the_scheme_is_the_documents_where_the_connection_names_none(name, scheme):
    """The document of linkws knows https only (一, 二): its password is not to go out in clear by default."""
    vendor = vendor_named(name)
    assert check(vendor, schema="").endpoint.base_url == f"{scheme}://sms.example.com"
    assert ui_field_behaviour(vendor)["placeholders"]["schema"] == scheme


def test_all_problems_come_at_once():
    found = problems(host="", login="", password="", timeout=0, tiemout=3)
    assert len(found) == 5
    assert "'tiemout'" in found[4]
    assert "timeout" in found[4]


@pytest.mark.parametrize("field", ["login", "password"])
def test_what_the_charset_lacks_is_found_before_anything_is_built(field):
    """And is not shown: it is a part of a secret."""
    found = problems(**{field: "geheim😀"})
    assert field in found[0]
    assert "geheim" not in found[0]
    assert "😀" not in found[0]
    assert check(**{field: "geheim😀"}, encoding="gb18030")


def test_defaults():
    account = check()
    assert (account.endpoint.timeout, account.endpoint.verify, account.endpoint.redirect_hosts) == (
        30.0,
        True,
        (),
    )
    assert (account.timezone.key, account.charset, account.vendor) == ("Asia/Shanghai", "gbk", "wavecom")
    assert set(account.options) == {field.name for field in SHARED_FIELDS}


@pytest.mark.parametrize(
    ("given", "verify"),
    [
        ("true", True),
        (True, True),
        ("False", False),
        (False, False),
        ("0", False),
        ("/etc/ca.pem", "/etc/ca.pem"),
    ],
)
def test_verify_is_a_choice_or_a_file(given, verify):
    assert check(verify=given).endpoint.verify == verify


def test_redirect_hosts_are_listed():
    assert check(redirect_hosts=" a.example.com, ,b.example.com").endpoint.redirect_hosts == (
        "a.example.com",
        "b.example.com",
    )


def test_values_become_what_the_field_says():
    """A connection's URI and environment variables know text alone."""
    picky = PickyVendor()
    options = check(picky, word=" w ", size="7", share="0.25", loud="yes").options
    assert (options["word"], options["size"], options["share"], options["loud"]) == ("w", 7, 0.25, True)
    assert check(picky, word="w").options["size"] == 5
    assert check(picky, word="w").endpoint.timeout == 99.0


def test_a_vendors_own_fields_come_first_and_win():
    names = [field.name for field in fields_of(PickyVendor())]
    assert names[:2] == ["word", "size"]
    assert names.count("timeout") == 1


@pytest.mark.parametrize(
    "extra",
    [
        {},
        {"word": " "},
        {"word": "w", "size": 0},
        {"word": "w", "size": 11},
        {"word": "w", "size": "many"},
        {"word": "w", "loud": "perhaps"},
        {"word": "w", "mode": "c"},
        {"word": "w", "mode": "b", "loud": True},
    ],
)
def test_a_vendors_own_fields_are_checked(extra):
    assert len(problems(PickyVendor(), **extra)) == 1


def test_no_repr_of_an_account_shows_a_secret():
    account = check(password="geheim", proxy="http://u:geheim@proxy.example.com")
    assert "geheim" not in repr(account)


@pytest.mark.parametrize("name", ["beidoutong", "wavecom", "linkws", "smsadmin"])
def test_a_misspelt_field_is_not_silence(name):
    vendor = vendor_named(name)
    required = {field.name: "42" for field in vendor.fields if field.required}
    assert "'pagesize'" in problems(vendor, pagesize=5, **required)[0]
