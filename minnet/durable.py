"""Bytes on a disk: the old ones or the new ones, whatever happens in between.

`write` puts the bytes into a temporary file beside the target, fsyncs it, renames it over
the target and fsyncs the folder. POSIX promises that the rename is all or nothing, and the
two fsyncs that it outlives a power cut. The temporary file is locked while it is written:
what a killed writer left behind has no lock, and the next writer in that folder removes it.
"""

from __future__ import annotations

import errno
import io
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeAlias

FilePath: TypeAlias = str | os.PathLike[str]

LARGEST = 2**32  # bytes: what a hostile file can make the reader allocate
TEMPORARY = re.compile(r"\.minnet-[0-9a-f]{16}\.tmp")


class FileError(OSError, ValueError):
    """A file could not be saved or loaded; the message says which and why.

    It is an OSError, for disks that fail, and a ValueError, for contents that do. After a
    failed save the old file is untouched; after a failed load nothing has changed.
    """


@contextmanager
def naming(path: FilePath) -> Iterator[None]:
    """Whatever goes wrong inside becomes a FileError that begins with the path."""
    name = os.fspath(path)
    try:
        yield
    except FileError as error:
        raise FileError(f"{name}: {error}") from error.__cause__
    except OSError as error:
        raise FileError(f"{name}: {error.strerror or error}") from error
    except MemoryError as error:
        raise FileError(f"{name}: there is not enough memory for it") from error
    except RecursionError as error:
        raise FileError(f"{name}: it is nested too deeply") from error


def read(path: FilePath) -> bytes:
    """All bytes of a regular file.

    Raises
    ------
    FileError, OSError
        If it cannot be read, is no regular file, or has more than LARGEST bytes.
    """
    with _opened(_text(path)) as file:
        status = os.fstat(file.fileno())
        _check_regular(status)
        if status.st_size > LARGEST:
            raise FileError(f"it has {status.st_size} bytes; {LARGEST} are the most here")
        # a byte more than there should be: a file that grows meanwhile is found out
        return b"".join(_chunks(file.fileno(), status.st_size + 1))


def _opened(path: str, flags: int = 0) -> io.FileIO:
    # opening a pipe would wait for its writer, but for O_NONBLOCK
    def opener(name: str, mode: int) -> int:
        return os.open(name, mode | os.O_NONBLOCK | flags)

    return open(path, "rb", buffering=0, opener=opener)


def _chunks(descriptor: int, size: int) -> Iterator[bytes]:
    while size and (chunk := os.read(descriptor, min(size, 2**20))):
        yield chunk
        size -= len(chunk)


def write(path: FilePath, data: bytes) -> None:
    """Make `data` the contents of the file, durably; a link stays a link to it.

    Raises
    ------
    FileError, OSError
        If it cannot be written; the target is then as it was. Only where the last fsync,
        the folder's, fails, the new bytes are in place without a promise to outlive a
        power cut.
    """
    if len(data) > LARGEST:
        raise FileError(f"it would have {len(data)} bytes; {LARGEST} are the most here")
    target = Path(os.path.realpath(_text(path)))
    mode = None
    with suppress(FileNotFoundError):
        status = target.stat()
        _check_regular(status)
        mode = stat.S_IMODE(status.st_mode) & 0o777
    _remove_leftovers(target.parent)
    while not _replaced(target, data, mode):
        pass
    _fsync_folder(target.parent)


def _replaced(target: Path, data: bytes, mode: int | None) -> bool:
    """Write beside the target and rename; False if another writer took ours for a leftover."""
    temporary = target.with_name(f".minnet-{os.urandom(8).hex()}.tmp")
    try:
        with open(temporary, "xb", buffering=0) as file:
            descriptor = file.fileno()
            with suppress(OSError):  # a file system without locks keeps its leftovers
                _lock(descriptor, wait=True)
            if not os.fstat(descriptor).st_nlink:  # removed before it was locked
                return False
            if mode is not None:
                os.fchmod(descriptor, mode)
            rest = memoryview(data)
            while rest:
                rest = rest[os.write(descriptor, rest) :]
            os.fsync(descriptor)
            os.replace(temporary, target)
    except BaseException:  # Ctrl-C too
        with suppress(OSError):
            os.unlink(temporary)
        raise
    return True


def _text(path: FilePath) -> str:
    text = os.fspath(path)
    if not isinstance(text, str):
        raise TypeError(f"a path must be a string or a Path, not {path!r}")
    with suppress(UnicodeEncodeError):
        if os.fsencode(text) and "\0" not in text:
            return text
    raise FileError("this is no path of a file")


def _check_regular(status: os.stat_result) -> None:
    if stat.S_ISDIR(status.st_mode):
        raise FileError("it is a folder")
    if not stat.S_ISREG(status.st_mode):
        raise FileError("it is no regular file")


def _fsync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno != errno.EINVAL:  # a file system that has no fsync for folders
            raise FileError(
                f"it is written, but may not outlive a power cut: {error.strerror}"
            ) from error
    finally:
        os.close(descriptor)


def _remove_leftovers(folder: Path) -> None:
    """Remove the temporary files in the folder that no living writer has locked."""
    with os.scandir(folder) as entries:
        leftovers = [entry.path for entry in entries if TEMPORARY.fullmatch(entry.name)]
    for path in leftovers:
        with suppress(OSError), _opened(path, os.O_NOFOLLOW) as file:
            _lock(file.fileno(), wait=False)
            os.unlink(path)


def _lock(descriptor: int, wait: bool) -> None:
    import fcntl  # only saving needs POSIX

    fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
