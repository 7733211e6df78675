"""
Bytes that are nearly what a vendor says: spliced, crossed, repeated and broken samples.

Cheap on purpose: what a parser takes for one input is a few microseconds, and everything here is made of
pieces that were cut beforehand.
"""

from __future__ import annotations

import random
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_PIECES = re.compile(rb"<[^<>]{0,80}>|[|;,/\n&=:%]|[^|;,/\n&=:%<>]{1,40}")
#: What parsers stumble over: signs, digits of other scripts, broken characters, times that are none.
_ALIEN = (
    b"|", b";", b",", b"/", b"\n", b"\r\n", b"&", b"=", b"%", b"+", b"-", b" ", b"\t", b"\0", b"0", b"1",
    b"9", b"-1", b"-3", b"-101", b"20|", b"00", b"9" * 25, b"1" * 7, b"\xa8C1", b"\xe2\x80\x931",
    b"\xa3\xb1", b"\xef\xbc\x91", b"\xd9\xa1", b"\x81", b"\xff", b"\xfe\xff", b"\xef\xbb\xbf", b"\xa1\xa1",
    b"\x84\x31\xa4\x37", b"\xef\xb7\x90", b"\xee\x80\x80", b"\xef\xb7\x90\xee\x80\x80", b"\xed\xa0\x80",
    b"\xef\xbf\xbe", b"\xef\xbf\xbd", b"0000-00-00 00:00:00", b"0001-01-01 00:00:00",
    b"9999-12-31 23:59:59", b"2019-02-30 09:08:10", b"2019-4-5 9:08:10", b"2019/4/5 9:08:10",
    b"1986-05-04 00:30:00", b"24:00:00", b"13800138000", b"13800138000/2019-04-15 09:08:10//DELIVRD/1\n",
    b"9;13800138000;10|", b"9,13800138000;", b"|9;13900139000;", b"%0A", b"%B9%AB", b"%zz", b"%", b"%00",
    b"0|1|0|9", b"DELIVRD", b"Class=mo", b"Class=rpt", b"\xb2\xbb\xba\xac",
)  # fmt: skip
_ALIEN_XML = (
    b"<", b">", b"<a>", b"</a>", b"<a/>", b"<![CDATA[", b"]]>", b"<!--", b"-->", b"<!-- -->", b"<?x ?>",
    b"&#0;", b"&#x1F;", b"&#31;", b"&#xD800;", b"&#xFDD0;", b"&#xE001;", b"&#x110000;", b"&#99999999;",
    b"&lt;", b"&amp;", b"&none;", b"&#", b"<!DOCTYPE a>", b"<!DOCTYPE a [<!ENTITY b 'c'>]>",
    b'<?xml version="1.0"?>', b'<?xml version="1.0" encoding="gb2312"?>',
    b'<?xml version="1.0" encoding="gbk"?>', b'<?xml version="1.0" encoding="us-ascii"?>',
    b'<?xml version="1.0" encoding="utf-16"?>', b'<?xml version="1.1"?>', b" xmlns='x'", b" a='b'",
    b" xsi:nil='true'", b"<x:y>", b"soap:Fault", b"<Fault/>",
    b"<soap:Code><soap:Value>soap:Sender</soap:Value></soap:Code>", b"<html>",
    b"<ReturnStatus>1</ReturnStatus>", b"<Content>", b"</Content>", b"<Mobile>13800138000</Mobile>",
    b"<TaskID>0</TaskID>",
)  # fmt: skip
_USUAL = [bytes([code]) for code in b"0123456789 aZ-:./+|;<>&\n"]
_LONGEST = 4000
_MOSTLY = 0.8


class Mutator:
    """
    Makes inputs for one parser; the same seed makes the same ones.

    :param samples: what the parser reads.
    :param seed: of everything left to chance.
    """

    def __init__(self, samples: Sequence[bytes], seed: str) -> None:
        self._random = random.Random(seed)  # noqa: S311 - not for secrets
        # The short ones more often: they are read faster, and what they show is the same.
        shares = [max(1, round((600 / (len(sample) + 40)) ** 2)) for sample in samples]
        self._samples = [sample for sample, share in zip(samples, shares, strict=True) for _ in range(share)]
        pieces = {piece for sample in samples for piece in _PIECES.findall(sample)}
        in_xml = any(sample.lstrip().startswith(b"<") for sample in samples)
        aliens = [*_ALIEN, *(_ALIEN_XML if in_xml else (b"<", b"<html>", b"&#0;"))]
        self._fragments = sorted(pieces) + aliens * max(1, len(pieces) // len(aliens))

    def cut(self, body: bytes) -> bytes:
        """Give a prefix that is shorter than the whole."""
        return body[: int(self._random.random() * len(body))]

    def inputs(self, count: int) -> Iterator[bytes]:
        """Make so many inputs; some may be equal."""
        chance = self._random.random
        ways = [self._spliced] * 11 + [self._crossed] * 4 + [self._composed] * 3
        ways += [self._nudged] * 4 + [self._flipped, self._repeated, self._arbitrary]
        number = len(ways)
        for _ in range(count):
            yield ways[int(chance() * number)]()[:_LONGEST]

    def large(self, size: int) -> bytes:
        """Make an input of about this size: long in records, in one field, in a run of it, or in nonsense."""
        ways = (self._many_samples, self._long_field, self._long_run, self._long_tail, self._long_nonsense)
        return ways[int(self._random.random() * len(ways))](size)

    def _any_sample(self) -> bytes:
        return self._samples[int(self._random.random() * len(self._samples))]

    def _any_fragment(self) -> bytes:
        return self._fragments[int(self._random.random() * len(self._fragments))]

    def _many_samples(self, size: int) -> bytes:
        sample = self._any_sample() or b" "
        return (sample * (size // len(sample) + 1))[:size]

    def _long_field(self, size: int) -> bytes:
        sample, fragment = self._any_sample(), self._any_fragment()
        place = int(self._random.random() * (len(sample) + 1))
        return sample[:place] + fragment * ((size - len(sample)) // len(fragment)) + sample[place:]

    def _long_run(self, size: int) -> bytes:
        sample = self._any_sample() or b" "
        start = int(self._random.random() * len(sample))
        end = start + 1 + int(self._random.random() * (len(sample) - start))
        run = sample[start:end]
        return sample[:start] + run * ((size - len(sample)) // len(run)) + sample[end:]

    def _long_tail(self, size: int) -> bytes:
        unit = b"".join(self._any_fragment() for _ in range(4))
        return (self._any_sample() + unit * (size // len(unit) + 1))[:size]

    def _long_nonsense(self, size: int) -> bytes:
        out, length = [], 0
        while length < size:
            out.append(self._any_fragment())
            length += len(out[-1])
        return b"".join(out)[:size]

    def _spliced(self) -> bytes:
        chance, fragments = self._random.random, self._fragments
        samples = self._samples
        body = samples[int(chance() * len(samples))]
        for _ in range(1 + int(chance() * chance() * 4)):
            start = int(chance() * (len(body) + 1))
            gone = int(chance() * 9) if chance() < _MOSTLY else int(chance() * len(body))
            body = body[:start] + fragments[int(chance() * len(fragments))] + body[start + gone :]
        return body

    def _crossed(self) -> bytes:
        chance, samples = self._random.random, self._samples
        one, other = samples[int(chance() * len(samples))], samples[int(chance() * len(samples))]
        return one[: int(chance() * (len(one) + 1))] + other[int(chance() * (len(other) + 1)) :]

    def _composed(self) -> bytes:
        chance, fragments = self._random.random, self._fragments
        return b"".join([fragments[int(chance() * len(fragments))] for _ in range(1 + int(chance() * 14))])

    def _nudged(self) -> bytes:
        # One usual character in another's place: the page mostly stays one, and means something else.
        sample = self._any_sample()
        place = int(self._random.random() * len(sample))
        return sample[:place] + _USUAL[int(self._random.random() * len(_USUAL))] + sample[place + 1 :]

    def _flipped(self) -> bytes:
        chance, samples = self._random.random, self._samples
        body = bytearray(samples[int(chance() * len(samples))])
        for _ in range(1 + int(chance() * 4)):
            if body:
                body[int(chance() * len(body))] = int(chance() * 256)
        return bytes(body)

    def _repeated(self) -> bytes:
        chance, samples = self._random.random, self._samples
        body = samples[int(chance() * len(samples))]
        start = int(chance() * len(body))
        run = body[start : start + 1 + int(chance() * 60)]
        return body[:start] + run * (1 + int(chance() * chance() * 60)) + body[start:]

    def _arbitrary(self) -> bytes:
        return self._random.randbytes(int(self._random.random() * 40))
