"""Replies whose text tries to be a record: every vendor's separators, line breaks, markup, escapes."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random

#: Of nobody who ever replies: a row with this number is a forgery.
VICTIM = "13900009999"
_MARK = "FORGED"
_ELEMENTS = (
    f"<Mobile>{VICTIM}</Mobile><TaskID>7</TaskID><Content>{_MARK}</Content>"
    "<ReceiveTime>2026-01-01 08:00:00</ReceiveTime><Extno/>"
)

_RECORDS = (
    f"|77,{VICTIM};{_MARK}",
    f"|77;{VICTIM};{_MARK}|",
    f";{VICTIM};10|78;{VICTIM};10|",
    f"\n{VICTIM}/2026-01-01 08:00:00/77/{_MARK}/1\n",
    f"/1\r\n{VICTIM}/2026-01-01 08:00:00//{_MARK}/",
    f"\r{VICTIM}/2026-01-01 08:00:00//DELIVRD/",
    f"%0A{VICTIM}/2026-01-01 08:00:00//{_MARK}/%0A",
    f"%0D%0A{VICTIM}%2F2026-01-01%2008%3A00%3A00%2F%2F{_MARK}%2F1%0A",
    f"</Content></WsCallBox><WsCallBox>{_ELEMENTS}</WsCallBox><WsCallBox><Content>",
    f"]]></Content></WsCallBox><WsCallBox><Mobile>{VICTIM}</Mobile><![CDATA[",
    f"&lt;/Content&gt;&lt;Mobile&gt;{VICTIM}&lt;/Mobile&gt;",
    f"&#60;Mobile&#62;{VICTIM}&#60;/Mobile&#62;",
    f"<!--{VICTIM}--><?x {VICTIM}?>",
    f"<!DOCTYPE a [<!ENTITY b '{VICTIM}'>]>&b;",
    f"&Mobile={VICTIM}&Class=mo&Message={_MARK}",
    f"&amp;#10;{VICTIM}/2026-01-01 08:00:00//x/",
    f"\u2028{VICTIM}/2026-01-01 08:00:00//x/1\u2028",
    f"\x85{VICTIM}/2026-01-01 08:00:00//x/1\x85",
    f"｜77，{VICTIM}；{_MARK}",
    f"１３９\uff5c{VICTIM};",
    f"\x0b{VICTIM}/2026-01-01 08:00:00//x/1\x0c",
    f"0|1|{VICTIM};{_MARK}",
)
#: Characters whose second byte in GBK is a "|", so that a careless reader splits in their middle.
_HALF_BARS = "亅倈厊唡啀坾"
_PLAIN = ("退订", "好的", "", "a/b;c|d", "1", "100%", "\n", "第一行\n第二行")


def forged_texts(chance: random.Random, count: int) -> list[tuple[str, str]]:
    """Give so many replies, number and text; at least one text tries to forge."""
    texts = [_forging(chance)]
    texts += [_forging(chance) if chance.random() < 0.5 else chance.choice(_PLAIN) for _ in range(count - 1)]  # noqa: PLR2004
    chance.shuffle(texts)
    return [(f"1381{n:07}", text) for n, text in enumerate(texts)]


def _forging(chance: random.Random) -> str:
    pieces = [chance.choice(("", "好", chance.choice(_HALF_BARS), "%", "&", "<", "|", "\n"))]
    for _ in range(chance.randrange(1, 3)):
        pieces += [
            chance.choice(_RECORDS),
            chance.choice(("", "|", "/", "\n", ";", chance.choice(_HALF_BARS))),
        ]
    return "".join(pieces)
