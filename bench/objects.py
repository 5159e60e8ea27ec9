"""Objects of the user's own, named on the command line as FILE-OR-MODULE:OBJECT."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

from bench.arguments import Refusal
from minnet.checks import brief

Kind = TypeVar("Kind")


def load_object(spec: str, kind: type[Kind] | tuple[type[Any], ...]) -> Kind:
    """The object of that kind that "path/to/file.py:name" or "package.module:name" names.

    Of several kinds, any will do. The name may also be that of a function without
    arguments that returns one.

    Raises
    ------
    Refusal
        If there is no such file, module or name, if importing or calling it raises, or
        if what comes is of another kind.

    Examples
    --------
    >>> from minnet import Network
    >>> load_object("minnet.study.gates:trained_xor", Network).names
    ('fc1', 'relu', 'fc2', 'sigmoid')
    """
    source, colon, name = spec.rpartition(":")
    if not (colon and source and name):
        raise Refusal(f"{brief(spec)} must be FILE:OBJECT or MODULE:OBJECT, as in net.py:net")
    is_file = source.endswith(".py") or os.sep in source
    kinds = " or ".join(k.__name__ for k in (kind if isinstance(kind, tuple) else (kind,)))
    with _importable(str(Path(source).parent) if is_file else ""):
        module = _import_file(Path(source)) if is_file else _import_module(source)
        try:
            found = getattr(module, name)
        except AttributeError:
            there = [key for key, value in vars(module).items() if isinstance(value, kind)]
            raise Refusal(
                f"{source} has no {brief(name)}; of kind {kinds} it has "
                f"{', '.join(there) or 'nothing'}"
            ) from None
        if not isinstance(found, kind) and callable(found):
            found = _attempt(f"calling {spec}", found)
    if not isinstance(found, kind):
        raise Refusal(f"{spec} must be a {kinds}, but it is {brief(found)}")
    return found


def _import_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise Refusal(f"there is no file {brief(str(path))}")
    spec = importlib.util.spec_from_file_location(str(path), path)
    if spec is None or spec.loader is None:
        raise Refusal(f"{brief(str(path))} is no Python file: its name must end in .py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where dataclasses and pickle look for it
    _attempt(f"importing {path}", spec.loader.exec_module, module)
    return module


def _import_module(name: str) -> ModuleType:
    return _attempt(f"importing {name}", importlib.import_module, name)


def _attempt(what: str, function: Any, *arguments: Any) -> Any:
    try:
        return function(*arguments)
    except (Exception, SystemExit) as error:
        raise Refusal(f"{what} raised {type(error).__name__}: {error}") from None


@contextmanager
def _importable(folder: str) -> Iterator[None]:
    """With the folder first among those that imports look in, as when a script there is run."""
    sys.path.insert(0, folder)
    try:
        yield
    finally:
        with suppress(ValueError):
            sys.path.remove(folder)
