"""Parse the small XML documents of S3 servers; one with a DTD is rejected, as entities can grow."""

from collections.abc import Mapping
from typing import NamedTuple
from xml.etree.ElementTree import XML, Element, ParseError, TreeBuilder, XMLParser


class XmlPage(NamedTuple):
    """The name of the root, and the texts of the elements right below it; names have no namespace."""

    root: str
    fields: Mapping[str, str]


def read_xml(body: bytes) -> XmlPage | None:
    """Parse a document; return None where it is no XML. Nothing outside of the document is read."""
    try:
        root = XML(body, XMLParser(target=_WithoutDoctype()))  # noqa: S314 - no entity can be declared
    except (ParseError, _DoctypeError):
        return None
    return XmlPage(_name(root), {_name(field): field.text or "" for field in root})


class _DoctypeError(Exception):
    """The document has a DTD."""


class _WithoutDoctype(TreeBuilder):
    def doctype(self, *_: object) -> None:
        raise _DoctypeError


def _name(element: Element) -> str:
    return element.tag.rpartition("}")[2]
