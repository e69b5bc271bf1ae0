"""Parse the small XML documents of S3 servers; one with a DTD is rejected, as entities can grow."""

from collections.abc import Mapping
from typing import NamedTuple
from xml.parsers import expat

_FIELD = 2  # the depth of the fields in S3's documents


class XmlPage(NamedTuple):
    """The name of the root, and the texts of the elements right below it; names have no namespace."""

    root: str
    fields: Mapping[str, str]


def read_xml(body: bytes) -> XmlPage | None:
    """Parse a document; return None where it is no XML. Nothing outside of the document is read."""
    reader = _Reader()
    try:
        reader.parser.Parse(body, True)  # noqa: FBT003 - expat's signature
    except (expat.ExpatError, _RefusedError):
        return None
    return XmlPage(reader.root, {name: "".join(parts) for name, parts in reader.fields.items()})


class _RefusedError(Exception):
    """The document has a DTD."""


class _Reader:
    def __init__(self) -> None:
        self.root = ""
        self.fields: dict[str, list[str]] = {}
        self._depth = 0
        self._texts: list[str] = []
        self.parser = expat.ParserCreate(namespace_separator=" ")
        self.parser.StartDoctypeDeclHandler = self._doctype
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._text

    def _doctype(self, *_: object) -> None:
        raise _RefusedError

    def _start(self, name: str, _attributes: object) -> None:
        self._depth += 1
        plain = name.rpartition(" ")[2]
        if self._depth == 1:
            self.root = plain
        elif self._depth == _FIELD:
            self._texts = self.fields.setdefault(plain, [])

    def _end(self, _name: str) -> None:
        self._depth -= 1

    def _text(self, text: str) -> None:
        if self._depth == _FIELD:
            self._texts.append(text)
