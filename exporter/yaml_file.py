"""YAML that users write, read strictly: every error names file, line and key, and all come at once."""

import os
import re
from collections.abc import Callable, Hashable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

try:
    from yaml import CSafeLoader
except ImportError:  # PyYAML built without libyaml
    from yaml import SafeLoader as CSafeLoader  # type: ignore[assignment]  # the same interface

KeyPath = tuple[str | int, ...]
Model = TypeVar("Model", bound=BaseModel)
_VARIABLE = re.compile(r"\$?\$\{([^}]*)\}")
_QUOTED_VALUE = re.compile(r"(alias|tag) '.*'")  # a secret without quotes, taken for something else
_DEEPEST = 100  # levels
_TOO_DEEP = "nested too deeply, or an anchor (&) holds an alias (*) of itself"
_MOST = 300_000  # keys and entries
_PLAIN_WORDS = {
    "extra_forbidden": "unknown key",
    "missing": "required, but not there",
    "model_type": "expected keys and values",
    "dict_type": "expected keys and values",
    "tuple_type": "expected a list",
    "union_tag_not_found": "required: one of the known stores",
}


class ConfigError(Exception):
    """Stop start-up: each problem is one readable line."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = [_readable(problem) for problem in problems]
        super().__init__("\n".join(self.problems))


def _readable(line: str) -> str:
    """Write out what nobody would see in a line, or what would end it."""
    return "".join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in line)


class Document:
    """Hold a YAML file's data and the line of each of its keys."""

    def __init__(self, path: Path, data: dict[str, Any], lines: Mapping[KeyPath, int]) -> None:
        self.path = path
        self.data = data
        self._lines = lines

    def problem(self, key: KeyPath, message: str) -> str:
        """Format one problem; the nearest known key gives the line."""
        known: KeyPath = ()
        for part in key:
            if (*known, part) in self._lines:
                known = (*known, part)
        place = f"{self.path}:{self._lines.get(known, 1)}" if self._lines else str(self.path)
        return ": ".join(filter(None, (place, ".".join(str(part) for part in key), message)))

    def validate(self, model: type[Model], data: object, at: Callable[[KeyPath], KeyPath] = lambda k: k) -> Model:
        """Parse data, which came from this document, into a model; `at` maps the model's keys to the file's."""
        try:
            return model.model_validate(data)
        except ValidationError as error:
            raise ConfigError(
                [
                    self.problem(at(problem["loc"]), _plain(problem["type"], problem["msg"]))
                    for problem in error.errors(include_url=False, include_input=False)
                ]
            ) from None


class _Strict(yaml.constructor.SafeConstructor):
    """Refuse duplicate keys, which PyYAML would silently let win."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:  # noqa: FBT001, FBT002 - PyYAML's signature
        seen = set()
        for key, _ in node.value if isinstance(node, yaml.MappingNode) else ():
            if not isinstance(key, yaml.ScalarNode):
                raise yaml.MarkedYAMLError(problem="a key is plain text", problem_mark=key.start_mark)
            if key.value in seen:
                raise yaml.MarkedYAMLError(problem=f"{key.value}: the key is there twice", problem_mark=key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:  # noqa: FBT001, FBT002 - PyYAML's signature
        try:
            return super().construct_object(node, deep)
        except ValueError as error:  # what looks like a date or a number, and is none
            raise yaml.MarkedYAMLError(problem=str(error), problem_mark=node.start_mark) from None
        except (LookupError, AttributeError, OverflowError):  # what is tagged as one
            kind = node.tag.rpartition(":")[2]
            raise yaml.MarkedYAMLError(problem=f"not a valid {kind}", problem_mark=node.start_mark) from None


class _Loader(_Strict, yaml.SafeLoader):
    """Say what is wrong with a file that libyaml refused: its own words are poor."""


class _FastLoader(_Strict, CSafeLoader):
    """Parse with libyaml in a tenth of the time; where it is missing, in Python."""


def read_document(path: Path) -> Document:
    """Read one YAML mapping; raise ConfigError when it cannot be read or is not one."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise ConfigError([f"{path}: cannot be read: {reason}"]) from None
    except ValueError:
        raise ConfigError([f"{str(path)!r} cannot be the name of a file"]) from None
    try:
        node, data = _parse(text)
        lines = _lines(node)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        problem = _QUOTED_VALUE.sub(r"\1: quote a value that begins with * or !", str(error.problem))
        raise ConfigError([f"{path}:{line}: {problem}"]) from None
    except yaml.YAMLError as error:
        raise ConfigError([f"{path}: {' '.join(str(error).split())}"]) from None
    except RecursionError:
        raise ConfigError([f"{path}: {_TOO_DEEP}"]) from None
    if not isinstance(data, dict):
        raise ConfigError([f"{path}:1: expected keys and values, found {type(data).__name__}"])
    return Document(path, data, lines)


def _parse(text: str) -> tuple[yaml.Node | None, object]:
    try:
        return _document(_FastLoader(text))
    except yaml.YAMLError:
        return _document(_Loader(text))


def _document(loader: _FastLoader | _Loader) -> tuple[yaml.Node | None, object]:
    node = loader.get_single_node()
    return node, loader.construct_document(node) if node else {}


def _lines(node: yaml.Node | None) -> dict[KeyPath, int]:
    """Return each key's line; refuse what aliases of aliases multiply beyond measure."""
    lines = dict(islice(_walk(node, ()), _MOST))
    if len(lines) == _MOST:
        raise yaml.YAMLError(f"{_MOST} keys and entries are too many; each alias (*) counts as all that it stands for")
    return lines


def _walk(node: yaml.Node | None, path: KeyPath) -> Iterator[tuple[KeyPath, int]]:
    if isinstance(node, yaml.MappingNode):
        children = [(key.value, key.start_mark.line + 1, value) for key, value in node.value]
    elif isinstance(node, yaml.SequenceNode):
        children = [(index, value.start_mark.line + 1, value) for index, value in enumerate(node.value)]
    else:
        return
    if len(path) == _DEEPEST:
        raise yaml.MarkedYAMLError(problem=_TOO_DEEP, problem_mark=node.start_mark)
    for key, line, value in children:
        yield (*path, key), line
        yield from _walk(value, (*path, key))


def expand_variables(document: Document, environment: Mapping[str, str] = os.environ) -> object:
    """Return the document's data with ${NAME} replaced; $${NAME} stays as ${NAME}. All unset names at once."""
    problems: list[str] = []

    def expand(value: object, key: KeyPath) -> object:
        if isinstance(value, dict):
            return {k: expand(v, (*key, k)) for k, v in value.items()}
        if isinstance(value, list):
            return [expand(v, (*key, i)) for i, v in enumerate(value)]
        if not isinstance(value, str):
            return value

        def replace(match: re.Match[str]) -> str:
            if match[0].startswith("$$"):
                return match[0][1:]
            if match[1] not in environment:
                problems.append(document.problem(key, f"the environment variable {match[1]} is not set"))
            return environment.get(match[1], "")

        return _VARIABLE.sub(replace, value)

    data = expand(document.data, ())
    if problems:
        raise ConfigError(problems)
    return data


def _plain(kind: str, message: str) -> str:
    return _PLAIN_WORDS.get(kind) or message.removeprefix("Value error, ").replace("Input should be", "expected")
