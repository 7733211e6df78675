"""What comes in place of a vendor's page: garbage, web pages, nothing, other charsets, other counts."""

from __future__ import annotations

import random
import re
from typing import TYPE_CHECKING, NamedTuple

from forgeries import VICTIM
from mutation import Mutator
from peers import framed

if TYPE_CHECKING:
    from collections.abc import Callable

    from answers import PageAnswer

_WEB_PAGES = (
    "<!DOCTYPE html><html><head><title>登录</title></head><body><form>13800138000</form></body></html>",
    "<html><body><h1>502 Bad Gateway</h1></body></html>",
    '<?xml version="1.0" encoding="gb2312"?><!DOCTYPE html PUBLIC "-//W3C//DTD" "http://127.0.0.2/x"><html/>',
    " \n\n<HTML><BODY>Session expired</BODY></HTML>",
    "<font face=\"Arial\" size=2>\n<p>Microsoft VBScript runtime </font> error '800a000d'</font>",
)
_STATUSES = (b"200 OK", b"404 Not Found", b"500 Internal Server Error", b"502 Bad Gateway", b"503 Busy")
_COUNT = re.compile(rb"\A[0-9]+\|")


class Stray(NamedTuple):
    """
    One answer.

    :param body: what has to be in the journal afterwards.
    :param wire: all of its bytes.
    :param numbers: whether a record may come of it at all: of garbage, none may.
    """

    kind: str
    body: bytes
    wire: bytes
    numbers: bool


class Strays:
    """
    Makes them, of the pages that a vendor hands out.

    :param pages: whole pages of all vendors.
    """

    def __init__(self, pages: list[PageAnswer], seed: int) -> None:
        self._random = random.Random(f"{seed} strays")  # noqa: S311 - not for secrets
        self._pages = pages
        self._mutators = {page.name: Mutator([page.body], f"{seed} {page.name} stray") for page in pages}
        self._kinds: dict[str, Callable[[PageAnswer], bytes]] = {
            "garbage": self._garbage,
            "web page": self._web_page,
            "nothing": lambda _: self._random.choice([b"", b"", b"\n", b"  \r\n"]),
            "charset": self._other_charset,
            "count": self._other_count,
            "half a character": self._half_a_character,
            "mutated": lambda page: next(self._mutators[page.name].inputs(1)),
            # Of another vendor: one vendor's two queues may well be of one form.
            "another's": lambda page: self._random.choice(
                [other.body for other in self._pages if other.vendor != page.vendor]
            ),
        }

    def next_to(self, page: PageAnswer) -> Stray:
        """Make one for the reader of a page."""
        kind = self._random.choice(list(self._kinds))
        body = self._kinds[kind](page)
        framing = self._random.choice(["length", "chunked", "close"])
        status = b"200 OK" if kind not in {"garbage", "web page"} else self._random.choice(_STATUSES)
        wire = framed(body, framing, head=b"HTTP/1.1 " + status + b"\r\nConnection: close\r\n")
        return Stray(kind, body, wire, numbers=kind in {"charset", "count", "mutated", "half a character"})

    def _half_a_character(self, page: PageAnswer) -> bytes:
        """Hide one record behind half a character, and let a text make up for it in the number."""
        forged = f"|9,{VICTIM};FORGED".encode()
        if page.vendor != "wavecom":
            return page.body.replace(b"/", b"\x81/", 1).replace(b"</Content>", b"\xe4</Content>", 1)
        bars = [found.start() for found in re.finditer(rb"\|", page.body)][1:]
        bar = self._random.choice(bars)
        return page.body[:bar] + self._random.choice([b"\x81", b"\xb0", b"\xfe"]) + page.body[bar:] + forged

    def _garbage(self, _: PageAnswer) -> bytes:
        chance = self._random
        if chance.random() < 0.5:  # noqa: PLR2004 - half of each
            return chance.randbytes(chance.randrange(1, 3000))
        letters = "中文, plain words. <>&;|/\n"
        return "".join(chance.choices(letters, k=chance.randrange(1, 800))).encode(
            chance.choice(["utf-8", "gb18030"])
        )

    def _web_page(self, _: PageAnswer) -> bytes:
        return self._random.choice(_WEB_PAGES).encode(self._random.choice(["utf-8", "gb18030"]))

    def _other_charset(self, page: PageAnswer) -> bytes:
        text = page.body.decode("utf-8" if page.vendor == "beidoutong" else "gb18030")
        charset = self._random.choice(
            ["utf-8", "utf-16", "utf-16-le", "gb18030", "big5", "utf-7", "utf-32", "cp500"]
        )
        encoded = text.encode(charset, errors="replace")
        if page.vendor == "beidoutong" and self._random.random() < 0.5:  # noqa: PLR2004 - half of each
            return encoded.replace(b'encoding="utf-8"', b'encoding="%s"' % charset.encode())
        return encoded

    def _other_count(self, page: PageAnswer) -> bytes:
        if page.vendor == "beidoutong":
            said = self._random.choice([b"0", b"-3", b"7", b"", b"Faild"])
            return page.body.replace(b"<ReturnStatus>1<", b"<ReturnStatus>%s<" % said)
        if page.vendor == "wavecom":
            return _COUNT.sub(b"%d|" % self._random.choice([0, 1, 2, 3, 5, 7, 50, 999_999]), page.body)
        # Lines without a count: a line more, and one less.
        return page.body + self._random.choice([b"5\n", b"\n\n7", b"total=5\n"])
