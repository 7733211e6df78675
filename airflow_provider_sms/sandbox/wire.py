"""A request as it came and an answer as it will leave, before any fault."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import unquote_to_bytes

if TYPE_CHECKING:
    from collections.abc import Mapping

GB = "gb18030"


@dataclass(frozen=True)
class Request:
    """One HTTP request, read completely.

    :param method: ``GET``, ``POST`` or ``DELETE``
    :param path: without the query string
    :param query: the raw bytes behind the ``?``
    :param headers: names in any case
    :param body: empty for a GET
    """

    method: str
    path: str
    query: bytes = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)

    @property
    def raw(self) -> bytes:
        """The bytes that carry the parameters: the body, or the query if there is none."""
        return self.body or self.query

    def header(self, name: str) -> str:
        """Return a header's value, or an empty string.

        :param name: in lower case
        """
        return self.headers.get(name, "")


@dataclass(frozen=True)
class Answer:
    """One HTTP answer.

    :param body: encoded
    :param status: HTTP status
    :param content_type: as sent in the header
    :param charset: what the body is encoded in, whether or not the header says so
    :param headers: further headers
    """

    body: bytes
    status: int = 200
    content_type: str = "text/html"
    charset: str = "utf-8"
    headers: tuple[tuple[str, str], ...] = ()


def read_form(raw: bytes) -> dict[str, bytes]:
    """Split ``a=b&c=d`` and undo its percent escapes once; the first of two equal names counts.

    Bytes that came unescaped are kept, since clients of GB services send them.

    :param raw: a query string or form body
    """
    form: dict[str, bytes] = {}
    for pair in raw.split(b"&"):
        name, equals, value = pair.partition(b"=")
        if equals:
            form.setdefault(unescape(name).decode("ascii", "replace"), unescape(value))
    return form


def unescape(value: bytes) -> bytes:
    """Undo percent escapes and plus signs once.

    :param value: escaped bytes
    """
    return unquote_to_bytes(value.replace(b"+", b" "))


def text(value: bytes, charset: str) -> str:
    """Decode a field; what does not fit becomes U+FFFD, as it would on the handset.

    :param value: unescaped bytes
    :param charset: Python's name of the charset
    """
    return value.decode(charset, "replace")
