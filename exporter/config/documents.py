"""YAML that users write, read strictly: every error names file, line and key, and all come at once."""

import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from exporter.config.files import read_bounded
from exporter.config.yaml_parser import TOO_DEEP, parse
from exporter.errors import ConfigError

KeyPath = tuple[str | int, ...]
Model = TypeVar("Model", bound=BaseModel)
_VARIABLE = re.compile(r"\$?\$\{([^}]*)\}")
_QUOTED_VALUE = re.compile(r"(alias|tag) '.*'")  # a secret without quotes, taken for something else
_MOST_BYTES = 4 * 2**20
_SHORTEST_SECRET = 4  # characters; a shorter one would be found within words
_PLAIN_WORDS = {
    "extra_forbidden": "unknown key",
    "missing": "required, but not there",
    "model_type": "expected keys and values",
    "dict_type": "expected keys and values",
    "tuple_type": "expected a list",
    "string_too_short": "expected a text that is not empty",
    "union_tag_not_found": "required: one of the known stores",
}


class YamlDocument:
    """Hold a YAML file's data and the line of each of its keys."""

    def __init__(self, path: Path, data: dict[str, Any], lines: Mapping[KeyPath, int]) -> None:
        self.path = path
        self.data = data
        self._lines = lines
        self._taken: dict[str, str] = {}  # texts of the environment, and the variable each stands in

    def take(self, name: str, value: str) -> str:
        """Take a variable's value, which problems are not to repeat: it may be a secret, put where none belongs."""
        if len(value) >= _SHORTEST_SECRET:
            self._taken |= dict.fromkeys((value, repr(value)[1:-1]), f"${{{name}}}")
        return value

    def error_at(self, key: KeyPath, message: str) -> str:
        """Format one problem; the nearest known key gives the line."""
        known: KeyPath = ()
        for part in key:
            if (*known, part) in self._lines:
                known = (*known, part)
        for value in sorted(self._taken, key=len, reverse=True):
            message = message.replace(value, self._taken[value])
        place = f"{self.path}:{self._lines.get(known, 1)}" if self._lines else str(self.path)
        return ": ".join(filter(None, (place, ".".join(str(part) for part in key), message)))

    def validate(self, model: type[Model], data: object, at: Callable[[KeyPath], KeyPath] = lambda k: k) -> Model:
        """Parse data, which came from this document, into a model; `at` maps the model's keys to the file's."""
        try:
            return model.model_validate(data)
        except ValidationError as error:
            raise ConfigError(
                [
                    self.error_at(at(problem["loc"]), _plain(problem["type"], problem["msg"]))
                    for problem in error.errors(include_url=False, include_input=False)
                ]
            ) from None
        except UnicodeEncodeError:  # of a variable: a file's own texts were looked through
            raise ConfigError([self.error_at((), "a variable's value is no UTF-8 text")]) from None


def read_document(path: Path) -> YamlDocument:
    """Read one YAML mapping; raise ConfigError when it cannot be read or is not one."""
    text = _text(path)
    try:
        data, lines = parse(text)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        problem = _QUOTED_VALUE.sub(r"\1: quote a value that begins with * or !", str(error.problem))
        raise ConfigError([f"{path}:{line}: {problem}"]) from None
    except yaml.YAMLError as error:
        raise ConfigError([f"{path}: {' '.join(str(error).split())}"]) from None
    except RecursionError:
        raise ConfigError([f"{path}: {TOO_DEEP}"]) from None
    if not isinstance(data, dict):
        raise ConfigError([f"{path}:1: expected keys and values, found {type(data).__name__}"])
    return YamlDocument(path, data, lines)


def _text(path: Path) -> str:
    try:
        return read_bounded(path, _MOST_BYTES).decode()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise ConfigError([f"{path}: cannot be read: {reason}"]) from None


def expand_variables(document: YamlDocument, environment: Mapping[str, str] = os.environ) -> object:
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
                problems.append(document.error_at(key, f"the environment variable {match[1]} is not set"))
            return document.take(match[1], environment.get(match[1], ""))

        end = value.rfind("}") + 1  # behind it each opening brace would be looked at to the text's end
        return _VARIABLE.sub(replace, value[:end]) + value[end:]

    data = expand(document.data, ())
    if problems:
        raise ConfigError(problems)
    return data


def _plain(kind: str, message: str) -> str:
    return _PLAIN_WORDS.get(kind) or message.removeprefix("Value error, ").replace("Input should be", "expected")
