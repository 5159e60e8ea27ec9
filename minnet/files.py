"""Networks to and from files that cannot run code."""

from __future__ import annotations

import os

from minnet.checks import brief
from minnet.container import Tree, fields, from_text, is_packed, pack, to_text, unpack
from minnet.durable import FileError, FilePath, naming, read, write
from minnet.network import Network
from minnet.records import Reader, Writer

__all__ = ["FileError", "from_json", "load", "load_with_notes", "save", "to_json"]


def save(net: Network, path: FilePath, notes: Tree = None) -> None:
    """Save a network, durably: whatever happens, the file is the old one or the new one.

    What would not load as the same network is refused before anything is written.

    Parameters
    ----------
    net : Network
    path : str or Path
        A name that ends in .json gets JSON to read and edit; any other one the format of
        docs/files.md, which has a checksum.
    notes : plain data and arrays, optional
        Kept along with the network, for `load_with_notes`; not in JSON.

    Raises
    ------
    FileError
        If it cannot be written, or something in it is not registered; the file, if there
        was one, is then as it was.
    """
    with naming(path):
        if os.fspath(path).endswith(".json"):
            if notes is not None:
                raise FileError("JSON holds the network alone; save notes without .json")
            data = to_json(net).encode() + b"\n"
        else:
            data = pack(_tree(net, notes))
            if pack(_tree(*_network(unpack(data)))) != data:
                raise FileError(NOT_THE_SAME)
        write(path, data)


def load(path: FilePath) -> Network:
    """The network of a file; learning on is bit-identical to never having stopped.

    Nothing that the file names is imported or called, but for classes and functions
    that are registered (`minnet.registry.register`). Memory and time are bounded by the
    size of the file.

    Parameters
    ----------
    path : str or Path

    Raises
    ------
    FileError
        And nothing else, if it cannot be read, is damaged, comes from a newer minnet,
        or holds no network that can be made here.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from minnet import Affinity, Network, Tanh
    >>> net = Network([Affinity(2, 3), Tanh()])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "small.minnet")
    ...     save(net, path)
    ...     again = load(path)
    >>> bool((again([1, 2]) == net([1, 2])).all())
    True
    """
    return load_with_notes(path)[0]


def load_with_notes(path: FilePath) -> tuple[Network, Tree]:
    """The network of a file, as `load`, and the notes saved with it, or None."""
    with naming(path):
        data = read(path)
        is_text = not is_packed(data) and data.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"{"
        return _network(from_text(data) if is_text else unpack(data))


def to_json(net: Network) -> str:
    """All of a small network as JSON, for people to read, edit and load.

    Raises
    ------
    FileError
        If something in it is not registered, or nan or inf, which JSON has not.

    Examples
    --------
    >>> from minnet import Affinity, Network
    >>> net = Network([Affinity(2, 1, name="sum")])
    >>> net["sum"].M, net["sum"].b = [[1, 1]], [0]
    >>> print(to_json(net))
    {
      "minnet": 1,
      "kind": "network",
      "network": {
        "name": null,
        "dtype": "float64",
        "layers": [
          {
            "class": "Affinity",
            "arguments": {"n": 2, "m": 1, "initializer": {"function": "normal"}},
            "name": "sum",
            "parameters": {"M": [[1.0, 1.0]], "b": [0.0]}
          }
        ],
        "loss": {"class": "SquaredError", "arguments": {"reduction": "sum"}},
        "optimizer": {
          "class": "SGD",
          "arguments": {"alpha": 0.1, "momentum": 0.0, "weight_decay": 0.0}
        },
        "memory": null,
        "diverged": null,
        "engine": "auto"
      }
    }
    """
    text = to_text(_tree(net))
    if to_text(_tree(from_json(text))) != text:
        raise FileError(NOT_THE_SAME)
    return text


def from_json(text: str) -> Network:
    """The network of such a text.

    Raises
    ------
    FileError
        If it is none; for wrong JSON with line and column.
    """
    return _network(from_text(text.encode(errors="surrogatepass")))[0]


NOT_THE_SAME = (
    "it would not load as the same network: the arguments registered for a class must be "
    "those that its constructor was given"
)


def _tree(net: Network, notes: Tree = None) -> Tree:
    tree = {"kind": "network", "network": Writer().network(net)}
    return tree if notes is None else {**tree, "notes": notes}


def _network(tree: Tree) -> tuple[Network, Tree]:
    record = of_kind(tree, "network", ("network",), ("notes",))
    return Reader().network(record["network"]), record.get("notes")


def of_kind(
    tree: Tree, kind: str, required: tuple[str, ...], optional: tuple[str, ...] = ()
) -> dict[str, Tree]:
    """The tree of a whole file, if it is of this kind and has the fields."""
    came = tree.get("kind") if isinstance(tree, dict) else tree
    if came != kind:
        raise FileError(f"it holds no {kind}, but {brief(came)}")
    return fields(tree, "the file", ("kind", *required), optional)
