"""
From the bytes of an XML answer to a tree, as far as the bytes go.

A whole answer is parsed in one go, which is by far the fastest. Whatever that parser refuses goes to a
second, incremental one that leaves behind the tree as far as it got and the elements that were still open.

A DOCTYPE is refused before a parser sees it, and with it every entity.

.NET writes characters that XML cannot carry as references (``&#x1F;``), at which XML parsers give up on the
whole page. Stand-ins take their place while such a page is parsed: a control character is then read as what
it stands for, and what stands for nothing (NUL, half a surrogate pair, bytes of no character) makes the one
record unreadable that holds it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_provider_sms import text
from airflow_provider_sms.errors import WireFormatError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from lxml.etree import _Element

    from airflow_provider_sms.wire import WireResponse

#: The only HTTP status under which a vendor answers.
OK = 200
_DOCTYPE = "XML with a DOCTYPE, which the service never writes: it may be an HTML error page"

#: Characters that XML 1.0 cannot carry, not even as references.
UNCARRIED = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")

_PROLOG = re.compile(rb"(?:<\?xml\s([^>]*?)\?>)?(?:\s++|<!--.*?-->|<\?.*?\?>)*+", re.DOTALL)
_ENCODING = re.compile(rb"encoding\s*=\s*[\"']([A-Za-z0-9._-]{1,20})[\"']")
#: Encodings an answer may declare, and what reads them. No others: some would hide a DOCTYPE from us.
_CODECS = {"utf-8": "utf-8", "us-ascii": "utf-8", "gb2312": "gb18030", "gbk": "gb18030", "gb18030": "gb18030"}
_PARSER: dict[str, Any] = {
    "resolve_entities": False,
    "load_dtd": False,
    "no_network": True,
    "huge_tree": False,
    # Else a comment would split a text, and its first half would pass for the whole.
    "remove_comments": True,
    "remove_pis": True,
}
#: Six times what a page of 10,000 records has. An element of four bytes takes hundreds of them in memory, so
#: that a body within the transport's limit could otherwise take all that a worker has.
_MOST_TAGS = 1_000_000
#: Bytes handed to the incremental parser at a time; libxml2 refuses a piece of more than 10 MB.
_PIECE = 1 << 16

#: U+FDD0 is no character, yet XML carries it. While the XML is parsed, it and the character behind it stand
#: in for a control character (U+E001 to U+E01F), for what cannot be read (U+E000), or for U+FDD0 (itself).
_ESCAPE = "\ufdd0"
_ESCAPED = re.compile("\ufdd0(.)", re.DOTALL)
_FIRST_CODE = 0xE000
_UNREADABLE = _ESCAPE + chr(_FIRST_CODE)
_TROUBLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufdd0\ufffe\uffff]")
_TROUBLE_OR_MARKUP = re.compile(
    # In these a reference is none.
    r"(<!\[CDATA\[.*?(?:\]\]>|\Z)|<!--.*?(?:-->|\Z)|<\?.*?(?:\?>|\Z))"
    r"|&#(?:x0*([0-9A-Fa-f]{1,6})|0*([0-9]{1,7}));"
    f"|{_TROUBLE.pattern}",
    re.DOTALL,
)
_LAST_CHARACTER = 0x10FFFF


@dataclass(slots=True)
class Tree:
    """
    A tree as far as it was parsed.

    :param root: its root element.
    :param still_open: the elements that were not closed, from the root down.
    :param problem: why the XML is not whole, without any content of it.
    :param stood_in: whether stand-ins took the place of characters that XML cannot carry.
    """

    root: _Element
    still_open: Sequence[_Element] = ()
    problem: str = ""
    stood_in: bool = False


def parse(response: WireResponse) -> Tree:
    """
    Parse an answer's XML as far as it goes.

    :raises WireFormatError: not even a first element can be read, there is a DOCTYPE, or there are more tags
        than any page has.
    """
    from lxml import etree

    # Blanks before the declaration are no XML, and harmless.
    body = response.body.removeprefix(b"\xef\xbb\xbf").lstrip()
    codec = _check_prolog(response, body)
    if body.count(b"<") > _MOST_TAGS:
        raise no_answer(response, f"XML of more than {_MOST_TAGS:,} tags, which no page has")
    try:
        tree = Tree(etree.fromstring(body, etree.XMLParser(**_PARSER)))
    except (etree.LxmlError, ValueError, LookupError, RecursionError):
        tree = _parse_broken(response, body, codec)
    # The prolog was checked already; this is for what that check did not foresee.
    if tree.root.getroottree().docinfo.internalDTD is not None:
        raise no_answer(response, _DOCTYPE)
    return tree


def _check_prolog(response: WireResponse, body: bytes) -> str:
    """Refuse what is no XML or bears a DOCTYPE; give the codec that reads the body."""
    prolog = _PROLOG.match(body)
    start = prolog.end() if prolog else 0
    if body.startswith(b"<!", start) and not body.startswith(b"<!--", start):
        raise no_answer(response, _DOCTYPE)
    if not body.startswith(b"<", start):
        raise no_answer(response, "something that is not XML" if body else "an empty body")
    declared = _ENCODING.search(prolog[1] or b"") if prolog else None
    codec = _CODECS.get(declared[1].decode("ascii").lower() if declared else "utf-8")
    if codec is None:
        raise no_answer(response, "XML in an encoding that the service does not use")
    return codec


def _parse_broken(response: WireResponse, body: bytes, codec: str) -> Tree:
    from lxml import etree

    body, stood_in = _stand_in(body, codec)
    # The body is UTF-8 now, whatever its declaration says.
    parser = etree.XMLPullParser(events=("start", "end"), encoding="utf-8", **_PARSER)
    root: Any = None
    still_open: list[Any] = []
    problem = ""
    # The last, empty piece stands for the end.
    for start in range(0, len(body) + _PIECE, _PIECE):
        piece = body[start : start + _PIECE]
        try:
            if piece:
                parser.feed(piece)
            else:
                parser.close()
        except (etree.LxmlError, ValueError, LookupError, RecursionError) as error:
            # Only the place: the parser's own message quotes the answer.
            line, column = getattr(error, "position", None) or (0, 0)
            problem = f"XML broken at line {line}, column {column}" if piece else "XML that ends early"
        for event, element in parser.read_events():
            if event == "start":
                root = element if root is None else root
                still_open.append(element)
            else:
                still_open.pop()
        if problem:
            break
    if root is None:
        raise no_answer(response, "something that is not XML, or was cut off before its first element")
    if problem and not still_open:
        problem = "other bytes behind the end of the XML"
    return Tree(root, still_open, problem, stood_in)


def _stand_in(body: bytes, codec: str) -> tuple[bytes, bool]:
    """Put stand-ins in the place of what XML cannot carry; say whether there was any."""
    if codec == "utf-8":
        decoded = body.decode(codec, "surrogateescape")
    else:
        # Half a surrogate pair is what undecodable bytes become above, too.
        decoded = text.decode(body, codec).replace("\ufffd", "\ud800")
    changed = _TROUBLE_OR_MARKUP.sub(_stand_in_for, decoded)
    return changed.encode("utf-8"), changed != decoded


def _stand_in_for(found: re.Match[str]) -> str:
    markup, hexadecimal, decimal = found.groups()
    if markup:
        return _TROUBLE.sub(lambda character: _escaped(ord(character[0])), markup)
    if not (hexadecimal or decimal):
        return _escaped(ord(found[0]))
    code = int(hexadecimal, 16) if hexadecimal else int(decimal)
    if code <= _LAST_CHARACTER and not _TROUBLE.match(chr(code)):
        return found[0]
    return _escaped(code)


def _escaped(code: int) -> str:
    if code == ord(_ESCAPE):
        return _ESCAPE * 2
    return _ESCAPE + chr(_FIRST_CODE + code) if code < ord(" ") else _UNREADABLE


def restored(value: str) -> str | None:
    """Put back what stand-ins stand for; ``None`` if there is something among it that cannot be read."""
    if _ESCAPE not in value:
        return value
    if chr(_FIRST_CODE) in _ESCAPED.findall(value):
        return None
    return _ESCAPED.sub(
        lambda found: _ESCAPE if found[1] == _ESCAPE else chr(ord(found[1]) - _FIRST_CODE), value
    )


def no_answer(response: WireResponse, what: str) -> WireFormatError:
    """Make the error of something that is no answer of the service; ``what`` came in its place."""
    return WireFormatError(what if response.status == OK else f"HTTP status {response.status} and {what}")


def problem_of(response: WireResponse, tree: Tree) -> str:
    """Say why an answer is not known to be whole; nothing if it is."""
    if not response.complete:
        return f"a part of its answer ({response.problem or 'the connection broke'})"
    return tree.problem or ("" if response.status == OK else f"HTTP status {response.status}")
