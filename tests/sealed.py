"""Files of the format of docs/files.md, read and written without minnet's own code.

What `sealed` writes has a valid checksum whatever it holds, as a hostile file has.
"""

from __future__ import annotations

import hashlib
import json
import struct
from pathlib import Path
from typing import Any

import numpy as np

MAGIC, VERSION, PREFIX = b"\x89minnet\n", 1, "<8sIIQ"


def sealed(
    header: Any,
    data: bytes = b"",
    *,
    version: int = VERSION,
    text_length: int | None = None,
    data_length: int | None = None,
) -> bytes:
    """A file with this header (JSON, or bytes in its place) and data."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    lengths = (
        len(text) if text_length is None else text_length,
        len(data) if data_length is None else data_length,
    )
    body = struct.pack(PREFIX, MAGIC, version, *lengths) + text + data
    return body + hashlib.sha256(body).digest()


def opened(file: bytes) -> tuple[Any, bytes]:
    """The header and the data of a file, whose checksum and lengths are right."""
    magic, version, text_length, data_length = struct.unpack_from(PREFIX, file)
    start = struct.calcsize(PREFIX)
    assert (magic, version) == (MAGIC, VERSION)
    assert len(file) == start + text_length + data_length + 32
    assert hashlib.sha256(file[:-32]).digest() == file[-32:]
    return json.loads(file[start : start + text_length]), file[start + text_length : -32]


def arrays(file: bytes) -> list[Any]:
    """The arrays of a file in their order."""
    header, data = opened(file)
    found, start = [], 0
    for name, shape in header["arrays"]:
        dtype = np.dtype(name).newbyteorder("<")
        count = int(np.prod(shape, dtype=int))
        found.append(np.frombuffer(data, dtype, count, start).reshape(shape))
        start += count * dtype.itemsize
    assert start == len(data)
    return found


def changed(path: Path, change: Any) -> None:
    """Change the header's tree in place by the function, and seal the file again."""
    header, data = opened(path.read_bytes())
    result = change(header["tree"])
    path.write_bytes(sealed({**header, "tree": header["tree"] if result is None else result}, data))
