"""XML that is an attack: on memory, on files, on other hosts."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_XML = '<?xml version="1.0" encoding="utf-8"?>'
_LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
_MANY = 150_000


def doctypes(trap: str, canary_file: str) -> dict[str, tuple[str, str]]:
    """
    Give declarations to stand before an answer, each with a text that would make use of it.

    :param trap: address that nothing may ask.
    :param canary_file: a file that nothing may read.
    """
    return {
        "billion laughs": (f'<!DOCTYPE a [<!ENTITY l0 "ha">{_LAUGHS}]>', "&l9;"),
        "quadratic blow-up": (f'<!DOCTYPE a [<!ENTITY b "{"b" * 20_000}">]>', "&b;" * 20_000),
        "external entity, a host": (f'<!DOCTYPE a [<!ENTITY b SYSTEM "{trap}/entity">]>', "&b;"),
        "external entity, a file": (f'<!DOCTYPE a [<!ENTITY b SYSTEM "file://{canary_file}">]>', "&b;"),
        "parameter entity": (f'<!DOCTYPE a [<!ENTITY % b SYSTEM "{trap}/parameter"> %b;]>', "1"),
        "external DTD": (f'<!DOCTYPE a SYSTEM "{trap}/dtd">', "1"),
        "public DTD": (f'<!DOCTYPE a PUBLIC "-//W3C//DTD XHTML 1.0//EN" "{trap}/public">', "1"),
        "default attributes": ('<!DOCTYPE a [<!ATTLIST ReturnStatus b CDATA "c">]>', "1"),
        "entity without use": ('<!DOCTYPE a [<!ENTITY b "c">]>', "1"),
        "recursion": ('<!DOCTYPE a [<!ENTITY b "&c;"><!ENTITY c "&b;">]>', "&b;"),
        "unparsed entity": (f'<!DOCTYPE a [<!NOTATION n SYSTEM "{trap}"><!ENTITY b SYSTEM "" NDATA n>]>', ""),
    }  # fmt: skip


def disguised(doctype: str, root: str) -> Iterator[tuple[str, bytes]]:
    """Give a document with a DOCTYPE in all the ways that may hide it."""
    plain = f"{_XML}{doctype}{root}"
    yield "plain", plain.encode()
    yield "no declaration", f"{doctype}{root}".encode()
    yield "BOM and blanks", b"\xef\xbb\xbf \r\n" + plain.encode()
    yield "behind comments", f"{_XML}<!-- a --><?b c?>\n<!-- <a> -->{doctype}{root}".encode()
    yield "utf-16", plain.replace("utf-8", "utf-16").encode("utf-16")
    yield "utf-16 without a BOM", plain.replace("utf-8", "utf-16le").encode("utf-16-le")
    yield "as utf-7", plain.replace("utf-8", "utf-7").replace("<!DOCTYPE", "+ADwAIQ-DOCTYPE").encode()
    yield "as EBCDIC", plain.replace("utf-8", "cp037").encode("cp037")
    yield "gb2312", plain.replace("utf-8", "gb2312").encode("gb18030")


def burdens(trap: str, canary_file: str) -> dict[str, tuple[str, str]]:
    """Give what needs no DOCTYPE: attributes of the root, and a text in one of its elements."""
    include = "http://www.w3.org/2001/XInclude"
    schema = "http://www.w3.org/2001/XMLSchema-instance"
    return {
        "XInclude, a host": (f' xmlns:i="{include}"', f'<i:include href="{trap}/include" parse="text"/>'),
        "XInclude, a file": (f' xmlns:i="{include}"', f'<i:include href="{canary_file}" parse="text"/>'),
        "schema location": (f' xmlns:s="{schema}" s:schemaLocation="http://tempuri.org/ {trap}/xsd"', "1"),
        "no-namespace schema": (f' xmlns:s="{schema}" s:noNamespaceSchemaLocation="{trap}/xsd"', "1"),
        "base": (f' xml:base="{trap}/base/"', '<a href="b"/>'),
        "stylesheet": ("", f'<?xml-stylesheet type="text/xsl" href="{trap}/xsl"?>1'),
        "huge attribute": (f' b="{"c" * 12_000_000}"', "1"),
        "many attributes": ("".join(f' a{n}="b"' for n in range(_MANY)), "1"),
        "many namespaces": ("".join(f' xmlns:a{n}="b{n}"' for n in range(3_000)), "1"),
        "deep": ("", "<a>" * _MANY + "</a>" * _MANY),
        "deep and open": ("", "<a>" * _MANY),
        "wide": ("", "<a/>" * 500_000),
        "huge text": ("", "好" * 5_000_000),
        "huge CDATA": ("", f"<![CDATA[{'<' * 12_000_000}]]>"),
        "huge comment": ("", f"<!--{'b' * 12_000_000}-->"),
        "huge instruction": ("", f"<?b {'c' * 12_000_000}?>"),
        "references": ("", "&#65;" * 1_000_000),
        "references to nothing": ("", "&#0;&#xD800;&#x110000;" * 200_000),
        "unknown entities": ("", "&none;" * 500_000),
        "huge name": ("", f"<{'n' * 5_000_000}/>"),
    }  # fmt: skip
