"""Parse YAML strictly and within bounds: no duplicate keys, no bottomless nesting, no aliases that multiply."""

import re
from collections.abc import Hashable, Iterator
from itertools import islice
from typing import Any

import yaml

try:
    from yaml.cyaml import CParser as _Parser  # type: ignore[attr-defined]  # the stubs hide it
except ImportError:  # PyYAML built without libyaml

    class _Parser(yaml.reader.Reader, yaml.scanner.Scanner, yaml.parser.Parser):  # type: ignore[no-redef]
        def __init__(self, text: str) -> None:
            yaml.reader.Reader.__init__(self, text)
            yaml.scanner.Scanner.__init__(self)
            yaml.parser.Parser.__init__(self)


_Keys = tuple[str | int, ...]
_DEEPEST = 100  # levels
TOO_DEEP = "nested too deeply, or an anchor (&) holds an alias (*) of itself"
_MOST = 300_000  # keys and entries
_TOO_MANY = f"{_MOST} keys and entries are too many; each alias (*) counts as all that it stands for"
_LONGEST_NUMBER = 1000  # characters; in base 60, as YAML has it, the time grows with their square
_WORTH_EXPLAINING = 2**18  # characters, which the parser in Python takes a few seconds for
_MERGE = "tag:yaml.org,2002:merge"
_HALF_CHARACTER = re.compile("[\ud800-\udfff]")  # no text that is written or sent can hold one
_NUMBERS = {"tag:yaml.org,2002:int", "tag:yaml.org,2002:float"}


def parse(text: str) -> tuple[object, dict[_Keys, int]]:
    """Return a document's data and the line of each of its keys; raise YAMLError, or RecursionError."""
    _check_size(text)
    node, data = _parse(text)
    return data, _lines(node)


class _StrictConstructor(yaml.constructor.SafeConstructor):
    """Reject duplicate keys, the last of which PyYAML would silently use."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:  # noqa: FBT001, FBT002 - PyYAML's signature
        seen = set()
        for key, _ in node.value if isinstance(node, yaml.MappingNode) else ():
            if not isinstance(key, yaml.ScalarNode):
                raise yaml.MarkedYAMLError(problem="a key is plain text", problem_mark=key.start_mark)
            if key.value in seen:
                raise yaml.MarkedYAMLError(problem=f"{key.value}: the key is there twice", problem_mark=key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """Replace merge keys (<<) by what they name: a mapping's own keys win, then the first that is named.

        PyYAML 6.0.4 lets others win.
        """
        own = {key.value: (key, value) for key, value in node.value if key.tag != _MERGE}
        merged: dict[str, tuple[yaml.Node, yaml.Node]] = {}
        for source in (source for key, value in node.value if key.tag == _MERGE for source in _sources(value)):
            self.flatten_mapping(source)
            for key, value in source.value:
                merged.setdefault(_name(key), (key, value))
        node.value = [pair for name, pair in merged.items() if name not in own] + list(own.values())

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:  # noqa: FBT001, FBT002 - PyYAML's signature
        if node.tag in _NUMBERS and len(node.value) > _LONGEST_NUMBER:
            raise yaml.MarkedYAMLError(problem="not a number that anybody needs", problem_mark=node.start_mark)
        if isinstance(node, yaml.ScalarNode) and _HALF_CHARACTER.search(node.value):
            raise yaml.MarkedYAMLError(
                problem="an escape such as \\ud800 is no character", problem_mark=node.start_mark
            )
        try:
            return super().construct_object(node, deep)
        except ValueError as error:  # what looks like a date or a number, and is none
            raise yaml.MarkedYAMLError(problem=str(error), problem_mark=node.start_mark) from None
        except (LookupError, AttributeError, OverflowError):  # what is tagged as one
            kind = node.tag.rpartition(":")[2]
            raise yaml.MarkedYAMLError(problem=f"not a valid {kind}", problem_mark=node.start_mark) from None


def _sources(value: yaml.Node) -> Iterator[yaml.MappingNode]:
    """Yield the mappings that a merge key names."""
    for source in value.value if isinstance(value, yaml.SequenceNode) else [value]:
        if not isinstance(source, yaml.MappingNode):
            raise yaml.MarkedYAMLError(
                problem="<< takes keys and values, or a list of such", problem_mark=source.start_mark
            )
        yield source


class _Loader(_StrictConstructor, yaml.SafeLoader):
    """Parse in Python what libyaml rejected, for the better message."""


class _FastLoader(_StrictConstructor, yaml.composer.Composer, _Parser, yaml.resolver.Resolver):
    """Parse with libyaml in a fraction of the time; where it is missing, in Python.

    Its events are composed in Python: libyaml would block all other threads until the whole file is parsed.
    """

    def __init__(self, text: str) -> None:
        _Parser.__init__(self, text)
        yaml.composer.Composer.__init__(self)
        _StrictConstructor.__init__(self)
        yaml.resolver.Resolver.__init__(self)


def _check_size(text: str) -> None:
    """Reject a text that is nested too deeply or has too many parts, before the composer recurses into it."""
    depth = parts = 0
    for event in _events(text):
        parts += isinstance(event, yaml.NodeEvent)
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > _DEEPEST or parts > _MOST:
            raise yaml.MarkedYAMLError(
                problem=TOO_DEEP if depth > _DEEPEST else _TOO_MANY,
                problem_mark=event.start_mark,  # type: ignore[arg-type]  # libyaml's marks have a line, too
            )


def _events(text: str) -> Iterator[yaml.Event]:
    """Yield a file's events up to the first error, which `_parse` reports with a better message."""
    try:
        loader = _FastLoader(text)
        while loader.check_event() and (event := loader.get_event()):
            yield event
    except yaml.MarkedYAMLError as error:
        if "nesting depth" in str(error.problem):  # libyaml's own bound, which it meets while it looks ahead
            raise yaml.MarkedYAMLError(problem=TOO_DEEP, problem_mark=error.problem_mark) from None
    except yaml.YAMLError:
        pass


def _parse(text: str) -> tuple[yaml.Node | None, object]:
    try:
        return _document(_FastLoader(text))
    except yaml.YAMLError:
        if len(text) > _WORTH_EXPLAINING:
            raise
        return _document(_Loader(text))


def _document(loader: _FastLoader | _Loader) -> tuple[yaml.Node | None, object]:
    node = loader.get_single_node()
    _lines(node)  # before merged keys (<<) multiply, too
    return node, loader.construct_document(node) if node else {}


def _lines(node: yaml.Node | None) -> dict[_Keys, int]:
    """Return each key's line; reject aliases of aliases that multiply beyond all bounds."""
    found = list(islice(_walk(node, ()), _MOST))
    if len(found) == _MOST:
        raise yaml.YAMLError(_TOO_MANY)
    return dict(found)


def _walk(node: yaml.Node | None, path: _Keys) -> Iterator[tuple[_Keys, int]]:
    children: list[tuple[str | int, int, yaml.Node]]
    if isinstance(node, yaml.MappingNode):
        children = [(_name(key), key.start_mark.line + 1, value) for key, value in node.value]
    elif isinstance(node, yaml.SequenceNode):
        children = [(index, value.start_mark.line + 1, value) for index, value in enumerate(node.value)]
    else:
        return
    if len(path) == _DEEPEST:
        raise yaml.MarkedYAMLError(problem=TOO_DEEP, problem_mark=node.start_mark)
    for key, line, value in children:
        yield (*path, key), line
        yield from _walk(value, (*path, key))


def _name(key: yaml.Node) -> str:
    return str(key.value) if isinstance(key, yaml.ScalarNode) else ""
