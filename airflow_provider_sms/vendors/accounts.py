"""From the raw fields of a connection to a checked :class:`~airflow_provider_sms.vendors.base.Account`."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from airflow_provider_sms import text
from airflow_provider_sms.errors import PreflightError
from airflow_provider_sms.vendors.base import Account, ConnectionField, Operation
from airflow_provider_sms.wire import Endpoint

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from airflow_provider_sms.vendors.base import Vendor

#: An account, a query, a blank or a control character: none of them belongs in an address.
_UNFIT_FOR_ADDRESS = re.compile(r"[\s@?#\\\x00-\x1f\x7f]")

#: Extra fields that connections of all vendors have.
SHARED_FIELDS: tuple[ConnectionField, ...] = (
    ConnectionField(
        "timeout",
        "Time-out (s)",
        "Seconds for one whole call, connecting included.",
        "number",
        30.0,
        minimum=0.1,
        maximum=600,
    ),
    ConnectionField(
        "base_path",
        "Base path",
        "Path prefix before the documented paths, for a gateway or proxy.",
        default="",
    ),
    ConnectionField(
        "verify",
        "Verify TLS",
        "false to accept any certificate, or the path of a CA bundle.",
        "string",
        "true",
    ),
    ConnectionField(
        "proxy", "HTTP proxy", "Address of an HTTP proxy on the way to the vendor.", default="", secret=True
    ),
    ConnectionField(
        "signature",
        "Signature",
        "Signature put at the end of texts that bear none, with or without 【】.",
        default="",
    ),
    ConnectionField(
        "max_in_flight",
        "Submits in flight",
        "Submits that may be under way at the same time.",
        "integer",
        4,
        minimum=1,
        maximum=64,
    ),
    ConnectionField(
        "requests_per_second",
        "Requests per second",
        "Submits started per second at most; 0 is no limit.",
        "number",
        0.0,
        minimum=0,
    ),
    ConnectionField(
        "encoding", "Charset", "Charset of texts on the wire.", choices=("gbk", "gb18030", "utf-8")
    ),
    ConnectionField("timezone", "Time zone", "Zone of the times on the wire.", default="Asia/Shanghai"),
    ConnectionField(
        "redirect_hosts",
        "Redirect hosts",
        "Comma-separated hosts that a redirect may lead to; none is followed otherwise.",
        default="",
    ),
)

#: Extra fields that connections of vendors that push have as well.
PUSH_FIELDS: tuple[ConnectionField, ...] = (
    ConnectionField(
        "push_token",
        "Push token",
        "Secret at the end of the address that the vendor pushes to: 20 or more letters, digits, - or _.",
        default="",
        secret=True,
    ),
    ConnectionField(
        "push_token_previous",
        "Previous push token",
        "The token before, taken as well until the vendor has the new address.",
        default="",
        secret=True,
    ),
    ConnectionField(
        "push_sources",
        "Push sources",
        "Comma-separated addresses or networks that may push; all may if empty.",
        default="",
    ),
)


def fields_of(vendor: Vendor) -> tuple[ConnectionField, ...]:
    """Give all extra fields of a vendor's connections, its own first."""
    own = {field.name for field in vendor.fields}
    shared = (*PUSH_FIELDS, *SHARED_FIELDS) if vendor.supports(Operation.PUSH) else SHARED_FIELDS
    return (*vendor.fields, *(field for field in shared if field.name not in own))


def check_account(
    vendor: Vendor,
    conn_id: str,
    *,
    host: str | None,
    port: int | None,
    schema: str | None,
    login: str | None,
    password: str | None,
    extra: Mapping[str, Any],
) -> Account:
    """
    Check a connection's fields and make an account of them.

    :param schema: ``"http"`` or ``"https"``.
    :param extra: the connection's extra fields; unknown ones are refused, since a misspelt ``timeout``
        would otherwise be silence.
    :raises PreflightError: listing every problem.
    """
    problems: list[str] = []
    base_url = _base_url(host, port, schema, vendor.scheme, str(extra.get("base_path") or ""), problems)
    if not login:
        problems.append(f"login is empty: set it to your {vendor.login_label}")
    if not password:
        problems.append("password is empty: set it")
    options: dict[str, Any] = {}
    fields = fields_of(vendor)
    for field in fields:
        options[field.name] = _option(field, extra.get(field.name), problems)
    unknown = sorted(set(extra) - set(options))
    if unknown:
        known = ", ".join(field.name for field in fields)
        problems.append(
            f"extra has unknown fields {', '.join(map(repr, unknown))}: "
            f"remove or rename them; known are {known}"
        )
    charset = options["encoding"] or vendor.charset
    for name, value in (("login", login), ("password", password)):
        # Which characters is not said: they are part of a secret.
        if text.unencodable(value or "", charset):
            problems.append(
                f"the vendor's charset ({charset}) cannot hold all characters of the {name}: change it"
            )
    zone = _zone(str(options["timezone"]), problems)
    if not problems:
        problems += vendor.check_options(options)
    if problems or zone is None:
        raise PreflightError(problems, f"connection {conn_id!r} ({vendor.conn_type})")
    return Account(
        conn_id=conn_id,
        vendor=vendor.name,
        endpoint=Endpoint(
            base_url=base_url,
            timeout=float(options["timeout"]),
            verify=_verify(options["verify"]),
            proxy=options["proxy"],
            redirect_hosts=tuple(
                filter(None, (name.strip() for name in options["redirect_hosts"].split(",")))
            ),
        ),
        login=login or "",
        password=password or "",
        options=options,
        timezone=zone,
        charset=charset,
    )


def _base_url(
    host: str | None,
    port: int | None,
    schema: str | None,
    usual_scheme: str,
    base_path: str,
    problems: list[str],
) -> str:
    address = (host or "").strip()
    scheme = (schema or "").strip().lower()
    # Users paste "http://host/path" into the host field as Airflow's own HTTP connection allows it.
    if "://" in address:
        pasted, _, address = address.partition("://")
        if scheme and scheme != pasted.lower():
            problems.append(f"host begins with {pasted}://, schema says {scheme}: set the one that is right")
        scheme = scheme or pasted.lower()
    address, _, path = address.partition("/")
    scheme = scheme or usual_scheme
    prefix = "/".join(part.strip("/") for part in (path, base_path) if part.strip("/"))
    netloc = f"{address}:{port}" if port else address
    if not address:
        problems.append("host is empty: set it to the address you got from the vendor")
    elif _UNFIT_FOR_ADDRESS.search(f"{address}/{prefix}"):
        problems.append("host and base_path must be plain, without account, query or blanks")
    elif not _is_netloc(netloc):
        problems.append(
            "host must be a host name or address: give the port once, from 1 to 65535, "
            "and put IPv6 in [brackets]"
        )
    if scheme not in {"http", "https"}:
        problems.append("schema must be 'http' or 'https'")
    return f"{scheme}://{netloc}" + (f"/{prefix}" if prefix else "")


def _is_netloc(netloc: str) -> bool:
    try:
        parts = urlsplit(f"//{netloc}")
        return bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _option(field: ConnectionField, given: Any, problems: list[str]) -> Any:
    if given is None or (isinstance(given, str) and not given.strip()):
        if field.required:
            problems.append(f"extra field {field.name!r} is empty: {field.description}")
        return field.default
    if field.name == "verify" and isinstance(given, bool):
        given = str(given)
    try:
        value = _CASTS[field.kind](given)
    except (TypeError, ValueError):
        problems.append(f"extra field {field.name!r} must be of type {field.kind}: {field.description}")
        return field.default
    if field.choices and value not in field.choices:
        problems.append(f"extra field {field.name!r} must be one of {', '.join(field.choices)}")
        return field.default
    below = field.minimum is not None and value < field.minimum
    above = field.maximum is not None and value > field.maximum
    if below or above:
        bounds = f"at least {field.minimum:g}" + (
            f" and at most {field.maximum:g}" if field.maximum is not None else ""
        )
        problems.append(f"extra field {field.name!r} must be {bounds}")
        return field.default
    return value


def _boolean(given: Any) -> bool:
    if isinstance(given, bool):
        return given
    value = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}.get(
        str(given).strip().lower()
    )
    if value is None:
        raise ValueError
    return value


def _number(given: Any) -> float:
    value = float(given)
    if not math.isfinite(value):  # NaN passes every comparison with a bound
        raise ValueError
    return value


def _integer(given: Any) -> int:
    if isinstance(given, float) and not given.is_integer():
        raise ValueError
    return int(given)


def _string(given: Any) -> str:
    # "userid": 1001 is fine; "signature": false would sign every text with 【False】.
    if isinstance(given, (bool, list, dict)):
        raise TypeError
    return str(given).strip()


_CASTS: dict[str, Any] = {
    "string": _string,
    "integer": _integer,
    "number": _number,
    "boolean": _boolean,
}


def _verify(given: str) -> bool | str:
    lowered = given.lower()
    if lowered in {"true", "1", "yes"}:
        return True
    return False if lowered in {"false", "0", "no"} else given


def _zone(name: str, problems: list[str]) -> ZoneInfo | None:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        problems.append(f"extra field 'timezone' names no time zone: use for instance {'Asia/Shanghai'!r}")
        return None
