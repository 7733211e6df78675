"""zeep as a codec: right bytes, one address, no network, no text in any log."""

from __future__ import annotations

import logging
import socket
from concurrent.futures import ThreadPoolExecutor
from importlib import resources
from typing import Any

import pytest
from lxml import etree

from airflow_provider_sms import errors
from airflow_provider_sms.transport import soap
from airflow_provider_sms.transport.soap import SoapCodec, fetch_request
from airflow_provider_sms.wire import Endpoint, SoapCall, WireRequest

CODEC = SoapCodec(Endpoint("https://sms.example.com:8443/gateway"))
TEXT = "  镕堃喆玥 %&=+;|/<>\"' \r\n\t二 ]]>【公司】😀  "
SEND = {"CorpID": "a", "Pwd": "b", "Mobile": "1,2", "Content": TEXT, "Cell": "", "SendTime": ""}
OVERAGE = {"userid": "1", "account": "a", "password": "geheim&1"}
SPACES = {
    "1.1": "http://schemas.xmlsoap.org/soap/envelope/",
    "1.2": "http://www.w3.org/2003/05/soap-envelope",
}


def call(arguments=OVERAGE, operations=("QueryOverage",), wsdl="beidoutong", **more: Any):
    return SoapCall("/SmsWebService.asmx", operations, arguments, wsdl, **more)


def send(*operations: str, **more: Any):
    return call(SEND, operations, "linkws", **more)


def packaged(name="linkws"):
    return (resources.files("airflow_provider_sms") / "vendors" / "wsdl" / f"{name}.wsdl").read_bytes()


def fetched(wsdl, *operations: str, version="1.2"):
    """Encode a send with a WSDL that "the vendor" gave."""
    wsdl = wsdl if isinstance(wsdl, bytes) else wsdl.encode()
    return CODEC.encode(send(*operations or ("BatchSend2",), fetch_wsdl=True, version=version), wsdl)


def operation_of(request):
    return etree.QName(etree.fromstring(request.body)[0][0]).localname


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    """Whoever opens a socket or resolves a name fails the test."""

    def refuse(*_: object, **__: object):
        pytest.fail("a socket was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


# --- bytes -------------------------------------------------------------------------------------------


def test_an_envelope_is_these_bytes():
    request = CODEC.encode(call())
    assert request.method == "POST"
    assert request.path == "/SmsWebService.asmx"
    assert request.query == ""
    assert request.body == (
        b"<?xml version='1.0' encoding='utf-8'?>\n"
        b'<soap-env:Envelope xmlns:soap-env="http://www.w3.org/2003/05/soap-envelope"><soap-env:Body>'
        b'<ns0:QueryOverage xmlns:ns0="http://tempuri.org/"><ns0:userid>1</ns0:userid>'
        b"<ns0:account>a</ns0:account><ns0:password>geheim&amp;1</ns0:password></ns0:QueryOverage>"
        b"</soap-env:Body></soap-env:Envelope>"
    )


@pytest.mark.parametrize(
    ("version", "headers"),
    [
        ("1.1", {"Content-Type": "text/xml; charset=utf-8", "SOAPAction": '"http://tempuri.org/BatchSend2"'}),
        (
            "1.2",
            {"Content-Type": 'application/soap+xml; charset=utf-8; action="http://tempuri.org/BatchSend2"'},
        ),
    ],
)
def test_each_version_has_its_envelope_and_headers(version, headers):
    """The version is chosen; zeep on its own takes whichever the WSDL has first."""
    request = CODEC.encode(send("BatchSend2", version=version))
    assert request.headers == headers
    assert etree.fromstring(request.body).tag == f"{{{SPACES[version]}}}Envelope"


def test_a_text_arrives_exactly():
    """Blanks at its ends, line breaks, markup and characters outside the basic plane."""
    sent = etree.fromstring(CODEC.encode(send("BatchSend2")).body)
    assert sent.findtext(".//{http://tempuri.org/}Content") == TEXT
    assert sent.find(".//{http://tempuri.org/}Cell").text is None


@pytest.mark.parametrize("character", ["\x00", "\x0b", "\x1f", "\ud800", "\ufffe", "\uffff"])
def test_what_xml_cannot_carry_is_named_before_anything_is_sent(character):
    with pytest.raises(errors.PreflightError) as caught:
        CODEC.encode(call({"Content": f"geheim{character}"}, ("BatchSend2",), "linkws"))
    assert f"Content holds characters that SOAP cannot carry (U+{ord(character):04X})" in str(caught.value)
    assert "geheim" not in str(caught.value)


@pytest.mark.parametrize("name", ["beidoutong", "linkws"])
def test_our_wsdls_are_packaged_and_have_every_binding(name):
    """Written in the style of .NET, with no real address and nothing to import."""
    root = etree.fromstring(packaged(name))
    space = {"w": "http://schemas.xmlsoap.org/wsdl/"}
    assert root.get("targetNamespace") == "http://tempuri.org/"
    assert len(root.findall(".//w:service/w:port", space)) == 3
    assert {port[0].get("location") for port in root.iterfind(".//w:port", space)} == {
        "http://address.invalid/"
    }
    assert not [element for element in root.iter() if str(element.tag).endswith("import")]


def test_the_documented_operations_can_be_called():
    login = ["userid", "account", "password"]
    for operation, more in {
        "SendSms": ["mobile", "content", "sendTime", "extno"],
        "QueryOverage": [],
        "QueryStatus": ["statusNum"],
        "QueryCall": ["callNum"],
    }.items():
        request = CODEC.encode(call(dict.fromkeys(login + more, "1"), (operation,)))
        assert operation_of(request) == operation
    request = CODEC.encode(call({"CorpID": "a", "Pwd": "b"}, ("GetBalance",), "linkws"))
    assert operation_of(request) == "GetBalance"


@pytest.mark.parametrize("name", ["../linkws", "linkws.wsdl", "", "/etc/passwd"])
def test_a_packaged_wsdl_is_a_name_not_a_path(name):
    with pytest.raises(ValueError, match="is named by"):
        CODEC.encode(call(wsdl=name))


# --- the operation -----------------------------------------------------------------------------------


def test_the_first_name_that_the_wsdl_has_is_taken():
    assert operation_of(CODEC.encode(send("Nothing", "IntlSend", "BatchSend2"))) == "IntlSend"


def test_a_name_with_other_parameters_is_passed_over():
    """GetBalance exists, but does not send."""
    assert operation_of(CODEC.encode(send("GetBalance", "Send"))) == "Send"


def only(*names: str):
    """Rename our WSDL's sends so that just these are left (the others lose a parameter)."""
    wsdl = packaged().decode()
    for name in ("BatchSend2", "IntlSend", "BatchSend", "Send2", "Send"):
        start = wsdl.index(f'<s:element name="{name}">')
        end = wsdl.index("</s:element>", start)
        if name not in names:
            wsdl = wsdl[:start] + wsdl[start:end].replace('name="Cell"', 'name="Cello"') + wsdl[end:]
    return wsdl


def test_of_unsure_names_the_one_that_fits_is_taken():
    """Who offers several names does not know the right one; the parameters show it."""
    assert operation_of(fetched(only("Send"), "Guess", "Another")) == "Send"


def test_a_single_name_is_meant():
    """A balance must not become another operation with an account and a password: that may empty a queue."""
    with pytest.raises(errors.PreflightError, match="no operation Guess with the parameters"):
        fetched(only("Send"), "Guess")


def test_several_that_fit_are_not_chosen_from():
    with pytest.raises(errors.PreflightError, match="'send_operation' to one of BatchSend2, Send"):
        fetched(only("BatchSend2", "Send"), "Guess", "Another")


def test_a_missing_version_says_which_there_is():
    wsdl = packaged().decode().replace("http://schemas.xmlsoap.org/wsdl/soap12/", "urn:none")
    with pytest.raises(errors.PreflightError, match=r"'soap_version' to 1\.1"):
        fetched(wsdl)
    assert operation_of(fetched(wsdl, version="1.1")) == "BatchSend2"


# --- the vendor's own WSDL ---------------------------------------------------------------------------


def test_the_wsdl_is_fetched_by_the_caller():
    wanted = call(fetch_wsdl=True)
    assert fetch_request(wanted) == WireRequest("GET", "/SmsWebService.asmx", "wsdl")
    with pytest.raises(ValueError, match="fetch_request"):
        CODEC.encode(wanted)


def test_an_address_in_the_wsdl_has_no_say():
    """Only the connection says where requests go."""
    request = fetched(packaged().decode().replace("http://address.invalid/", "http://evil.example/steal"))
    assert request.path == "/SmsWebService.asmx"
    assert b"evil.example" not in request.body


SCHEMA = '<s:schema elementFormDefault="qualified" targetNamespace="http://tempuri.org/">'


@pytest.mark.parametrize(
    ("added", "named"),
    [
        ('<s:import namespace="urn:x" schemaLocation="http://evil.example/geheim.xsd"/>', "evil.example"),
        ('<s:include schemaLocation="https://user:geheim@evil.example/a.xsd"/>', "evil.example"),
        ('<s:import namespace="urn:x" schemaLocation="file:///geheim.xsd"/>', "a file"),
        ('<s:import namespace="urn:x" schemaLocation="../geheim.xsd"/>', "a file"),
        ('<s:import namespace="urn:x" schemaLocation="ftp://evil.example/geheim.xsd"/>', "evil.example"),
    ],
)
def test_an_import_is_not_followed(added, named):
    """Neither into the network nor to a file; the error names the host and no more."""
    with pytest.raises(errors.WireFormatError) as caught:
        fetched(packaged().decode().replace(SCHEMA, SCHEMA + added))
    assert f"the WSDL of sms.example.com cannot be used (it imports from {named})" in str(caught.value)
    assert "geheim" not in str(caught.value)
    assert caught.value.__context__ is None or "geheim" not in repr(caught.value.__context__)


def test_a_wsdl_import_is_not_followed():
    added = '<wsdl:import namespace="urn:x" location="http://evil.example/b.wsdl"/>  <wsdl:types>'
    with pytest.raises(errors.WireFormatError, match=r"it imports from evil\.example"):
        fetched(packaged().decode().replace("<wsdl:types>", added))


@pytest.mark.parametrize(
    "wsdl",
    [
        "",
        "geheim",
        "<html><body>geheim</body></html>",
        "<geheim",
        '<!DOCTYPE x [<!ENTITY a "geheim">]><x>&a;</x>',
        '<!DOCTYPE x SYSTEM "http://evil.example/x.dtd"><x/>',
        '<?xml version="1.0"?><!DOCTYPE x [<!ENTITY % p SYSTEM "http://evil.example/"> %p;]><x/>',
        packaged()[:4000],
        packaged().replace(b'type="s:string"', b'type="s:geheim"', 1),
        packaged().replace(b'element="tns:BatchSend2"', b'element="tns:Geheim"', 1),
    ],
)
def test_a_wsdl_that_cannot_be_read_is_one_error(wsdl):
    """Whatever zeep makes of it, its text does not get into ours."""
    with pytest.raises((errors.WireFormatError, errors.PreflightError)) as caught:
        fetched(wsdl)
    assert "geheim" not in str(caught.value).lower()
    assert "sms.example.com" in str(caught.value)


def test_laughs_are_not_laughed():
    laughs = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
    with pytest.raises(errors.WireFormatError):
        fetched(f'<!DOCTYPE x [<!ENTITY l0 "ha">{laughs}]><x a="&l9;">&l9;</x>')


# --- use ---------------------------------------------------------------------------------------------


def test_a_wsdl_is_read_once(monkeypatch):
    """Reading one takes a quarter of a second; codecs are made for every call."""
    soap._clients.clear()
    CODEC.encode(call())
    monkeypatch.setattr(SoapCodec, "_read", lambda *_: pytest.fail("read again"))
    SoapCodec(Endpoint("http://other.example")).encode(call(version="1.1"))


def test_changing_wsdls_do_not_pile_up():
    for number in range(soap._MOST_CLIENTS + 2):
        fetched(packaged() + f"<!-- {number} -->".encode())
    assert len(soap._clients) <= soap._MOST_CLIENTS


def test_threads_do_not_mix_their_calls():
    def encode(number):
        arguments = {**SEND, "Content": f"text {number} " * 50}
        request = CODEC.encode(call(arguments, ("BatchSend2",), "linkws", version=("1.1", "1.2")[number % 2]))
        sent = etree.fromstring(request.body)
        return sent.tag.split("}")[0][1:], sent.findtext(".//{http://tempuri.org/}Content")

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(encode, range(200)))
    assert found == [(SPACES[("1.1", "1.2")[n % 2]], f"text {n} " * 50) for n in range(200)]


def test_nothing_of_a_call_is_logged(caplog):
    """When it sends envelopes, zeep logs them whole; making them must not."""
    caplog.set_level(logging.DEBUG)
    soap._clients.clear()
    CODEC.encode(call())
    CODEC.encode(send("BatchSend2"))
    assert not [secret for secret in ("geheim", "镕堃", "公司") if secret in caplog.text]
