"""An SVG file that matplotlib wrote, as a part of an HTML page that has other pictures and its own styles."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lxml.etree import _Element

_LINK = "{http://www.w3.org/1999/xlink}href"
_SPACE = re.compile(r"\s+")
#: What the page does not decide about a text.
_KEPT = ("font-size", "font-weight", "text-anchor", "fill")


def inline(svg: bytes, name: str, replaced: Mapping[str, str]) -> str:
    """
    Make a file an element.

    :param svg: as matplotlib writes it with ``svg.fonttype: none``.
    :param name: unique on the page; ids begin with it, and ``<name>-title`` labels the picture.
    :param replaced: words in the file, made of letters, digits and a leading ``#``, and the markup that
        stands in their place.
    :return: an ``svg`` element without namespace declarations, as HTML takes it.
    """
    from lxml import etree

    root = etree.fromstring(svg)
    view = root.get("viewBox", "")
    # One style of it speaks of every element of the page; nothing is drawn that a clip would hide.
    for element in list(root.iter("{*}metadata", "{*}style", "{*}clipPath")):
        _remove(element)
    linked = {element.get(_LINK, "").removeprefix("#") for element in root.iter("{*}use")}
    for element in root.iter("{*}*"):
        _claim(element, name, linked)
    for element in root.iter("{*}text"):
        _retype(element)
    for element in reversed(list(root.iter("{*}g", "{*}defs"))):
        if len(element) == 0:
            _remove(element)
    root.attrib.clear()
    root.attrib.update({"viewBox": view, "role": "img", "aria-labelledby": f"{name}-title"})
    for element in root.iter("{*}*"):
        element.tag = etree.QName(element).localname
    etree.cleanup_namespaces(root)
    text = _SPACE.sub(" ", etree.tostring(root, encoding="unicode"))
    text = text.replace(" <", "<").replace("> ", ">").strip()
    if not replaced:
        return text
    words = re.compile("|".join(rf"{re.escape(word)}\b" for word in replaced))
    return words.sub(lambda found: replaced[found[0]], text)


def _remove(element: _Element) -> None:
    parent = element.getparent()
    if parent is not None:
        parent.remove(element)


def _claim(element: _Element, name: str, linked: set[str]) -> None:
    """Keep only ids that something refers to, and make them the picture's own."""
    ident, link = element.get("id", ""), element.get(_LINK, "")
    for attribute in ("id", _LINK, "clip-path"):
        element.attrib.pop(attribute, "")
    if ident in linked:
        element.set("id", f"{name}-{ident}")
    if link:
        element.set("href", f"#{name}-{link.removeprefix('#')}")


def _retype(element: _Element) -> None:
    """Leave a text its size, weight, anchor and colour; the typeface is the page's."""
    declarations = (each.partition(":") for each in element.get("style", "").split(";"))
    style = {name.strip(): value.strip() for name, _, value in declarations}
    element.set("style", "; ".join(f"{kept}: {style[kept]}" for kept in _KEPT if kept in style))
    if element.get("transform", "").startswith("rotate(-0 "):
        del element.attrib["transform"]
