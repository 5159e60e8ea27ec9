"""A save is all or nothing: real processes are killed, disks are full, writers collide."""

from __future__ import annotations

import errno
import json
import os
import socket
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import minnet
from minnet import Affinity, Network, durable
from minnet.files import FileError, load, save

ROOT = Path(minnet.__file__).parents[1]
TEMPORARY = ".minnet-0123456789abcdef.tmp"


def small(value: float) -> Network:
    net = Network([Affinity(2, 1)])
    net.layers[0].M = [[value, value]]
    return net


def value_in(path: Path) -> float:
    return float(load(path).layers[0].M[0, 0])


def leftovers(folder: Path) -> list[str]:
    return [name for name in os.listdir(folder) if name.endswith(".tmp")]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file that holds 1."""
    save(small(1), tmp_path / "net.minnet")
    return tmp_path / "net.minnet"


def run(code: str, *arguments: object) -> Any:
    """What a process of its own prints as JSON."""
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", PRELUDE + textwrap.dedent(code)]
        + [str(argument) for argument in arguments],
        cwd=ROOT, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


PRELUDE = textwrap.dedent("""
    import json, os, signal, sys, time
    import numpy as np
    from minnet import Affinity, Network, load
    from minnet.files import FileError, save

    def small(value, n=2):
        net = Network([Affinity(n, 1)])
        net.layers[0].M = [[value] * n]
        return net

    def outcome(path):
        M = load(path).layers[0].M
        assert (M == M[0, 0]).all()
        return float(M[0, 0])

    def forked(work):
        child = os.fork()
        if not child:
            try:
                os._exit(work() or 0)
            finally:  # an exception
                os._exit(99)
        return child

    CALLS = ["open", "write", "fsync", "replace", "fchmod", "close", "unlink", "fstat"]

    def at_call(number, moment, act):
        "Let act() happen before, during or after that call to the system; a list of calls."
        seen = []
        def wrap(name, real):
            def wrapped(*arguments, **keywords):
                seen.append(name)
                now = len(seen) == number + 1
                if now and moment == "before":
                    act()
                if now and moment == "during" and name == "write":
                    real(arguments[0], arguments[1][: len(arguments[1]) // 2])
                    act()
                result = real(*arguments, **keywords)
                if now and moment == "after":
                    act()
                return result
            return wrapped
        for name in CALLS:
            setattr(os, name, wrap(name, getattr(os, name)))
        return seen
""")


def test_killed_at_every_call_to_the_system_the_old_or_the_new_loads(path: Path) -> None:
    results = run(
        """
        path, folder = sys.argv[1], os.path.dirname(sys.argv[1])
        die = lambda: os.kill(os.getpid(), signal.SIGKILL)
        results = []
        for moment in ("before", "during", "after"):
            for number in range(20):
                save(small(1), path)
                read_end, write_end = os.pipe()
                def work():
                    real_write = os.write
                    seen = at_call(number, moment, lambda: (
                        real_write(write_end, seen[-1].encode()), die()))
                    save(small(2), path)
                _, status = os.waitpid(forked(work), 0)
                os.close(write_end)
                call = os.read(read_end, 99).decode()
                os.close(read_end)
                if os.WIFEXITED(status):
                    assert os.WEXITSTATUS(status) == 0 and not call
                    continue
                assert os.WTERMSIG(status) == signal.SIGKILL
                after = outcome(path)
                left = [name for name in os.listdir(folder) if name.endswith(".tmp")]
                save(small(3), path)
                assert outcome(path) == 3
                swept = [name for name in os.listdir(folder) if name.endswith(".tmp")]
                results.append([moment, call, after, len(left), len(swept)])
        print(json.dumps(results))
        """,
        path,
    )
    order = [call for moment, call, *_ in results if moment == "after"]
    assert order.count("fsync") == 2 and order.index("fsync") < order.index("replace")
    assert "write" in order and len(order) < 20
    assert [call for moment, call, *_ in results if moment == "before"] == order
    assert [call for moment, call, *_ in results if moment == "during"] == ["write"]
    renamed, opened = order.index("replace"), order.index("fstat")
    for i, (moment, _, after, left, swept) in enumerate(results[: len(order)]):
        assert (moment, after) == ("before", 1 if i <= renamed else 2)
        assert left == (1 if opened <= i <= renamed else 0)
        assert swept == 0, "the next save removes what a killed one left"
    for i, (moment, _, after, left, swept) in enumerate(results[-len(order) :]):
        assert (moment, after) == ("after", 1 if i < renamed else 2)
        assert left == (1 if opened <= i < renamed else 0)
        assert swept == 0
    moment, call, *rest = results[len(order)]
    assert (moment, call, rest) == ("during", "write", [1, 1, 0])


def test_killed_at_any_time_the_old_or_the_new_loads(path: Path) -> None:
    values = run(
        """
        path, rng = sys.argv[1], np.random.default_rng(0)
        values = []
        for _ in range(20):
            def work():
                nets = [small(value, 100_000) for value in (1, 2)]
                while True:
                    for net in nets:
                        save(net, path)
            child = forked(work)
            time.sleep(rng.uniform(0, 0.05))
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            values.append(outcome(path))
        save(small(3), path)
        left = [name for name in os.listdir(os.path.dirname(path)) if name.endswith(".tmp")]
        print(json.dumps([values, left]))
        """,
        path,
    )
    assert set(values[0]) <= {1, 2} and values[1] == []


def test_ctrl_c_at_every_call_leaves_the_old_or_the_new_and_nothing_else(path: Path) -> None:
    results = run(
        """
        path, folder = sys.argv[1], os.path.dirname(sys.argv[1])
        interrupt = lambda: os.kill(os.getpid(), signal.SIGINT)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        results = []
        for moment in ("before", "during", "after"):
            for number in range(20):
                save(small(1), path)
                def work():
                    net, real = small(2), {name: getattr(os, name) for name in CALLS}
                    files = len(os.listdir("/proc/self/fd"))
                    at_call(number, moment, interrupt)
                    try:
                        save(net, path)
                    except KeyboardInterrupt:
                        vars(os).update(real)
                        return 1 if len(os.listdir("/proc/self/fd")) == files else 2
                status = os.waitstatus_to_exitcode(os.waitpid(forked(work), 0)[1])
                left = [name for name in os.listdir(folder) if name.endswith(".tmp")]
                results.append([status, outcome(path), left])
        print(json.dumps(results))
        """,
        path,
    )
    interrupted = [result for result in results if result[0]]
    assert len(interrupted) > 10
    for status, after, left in interrupted:
        assert status in (1, 2)  # 2: between a file's opening and its number's arrival
        assert after in (1, 2) and left == []
    assert sum(status == 2 for status, *_ in interrupted) <= 2


@pytest.mark.parametrize("number", range(20))
@pytest.mark.parametrize("code", [errno.EIO, errno.ENOSPC])
def test_an_error_of_the_disk_at_any_call_is_told_and_leaves_the_old(
    path: Path, number: int, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []

    def failing(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **keywords: Any) -> Any:
            seen.append(name)
            if len(seen) == number + 1:
                raise OSError(code, os.strerror(code))
            return real(*arguments, **keywords)

        return call

    with monkeypatch.context() as patched:
        for name in ("open", "write", "fsync", "replace", "scandir", "fchmod", "fstat"):
            patched.setattr(os, name, failing(name, getattr(os, name)))
        told = ""
        try:
            save(small(2), path)
        except FileError as error:
            told = str(error)
    if number < len(seen):
        assert told.startswith(f"{path}: ") and os.strerror(code) in told
    else:
        assert not told and number > 7
    renamed = "replace" in seen[:number]
    assert value_in(path) == (2 if renamed else 1)
    assert leftovers(path.parent) == []


def test_a_folder_that_knows_no_fsync_is_no_error(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fsync(descriptor: int, real: Callable[[int], None] = os.fsync) -> None:
        if os.path.isdir(f"/proc/self/fd/{descriptor}"):
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    save(small(2), path)
    assert value_in(path) == 2


def test_a_full_disk_leaves_the_old(path: Path) -> None:
    told = run(
        """
        import resource
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
        try:
            save(small(2, 10_000), sys.argv[1])
        except FileError as error:
            files = os.listdir(os.path.dirname(sys.argv[1]))
            print(json.dumps([str(error), outcome(sys.argv[1]), files]))
        """,
        path,
    )
    assert told == [f"{path}: File too large", 1, [path.name]]


def test_writes_that_take_a_part_only_are_continued(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: write(descriptor, data[:7]))
    save(small(2), path)
    monkeypatch.undo()
    assert value_in(path) == 2


def test_where_nothing_can_be_written_it_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("text")
    (tmp_path / "loop").symlink_to("loop")
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "socket"))
    before = sorted(os.listdir(tmp_path))
    for name, words in {
        "file/net": "Not a directory",
        "missing/net": "No such file or directory",
        "loop": "Too many levels of symbolic links",
        "pipe": "it is no regular file",
        "socket": "it is no regular file",
        ".": "it is a folder",
        "n" * 300: "File name too long",
        "/proc/net.minnet": "No such file or directory",
        "/proc/version/net": "Not a directory",
        "nul\0": "this is no path of a file",
        "\ud800": "this is no path of a file",
    }.items():
        target = os.path.join(tmp_path, name)
        with pytest.raises(FileError, match=f": {words}") as told:
            save(small(1), target)
        assert str(told.value).startswith(target)
    with pytest.raises(FileError, match="no path"):
        save(small(1), "")
    assert sorted(os.listdir(tmp_path)) == before
    assert (tmp_path / "file").read_text() == "text"


def test_what_is_no_file_is_not_loaded_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to("loop")
    for name, words in {
        "pipe": "it is no regular file",
        ".": "Is a directory|it is a folder",
        "missing": "No such file or directory",
        "loop": "Too many levels of symbolic links",
        "/dev/zero": "it is no regular file",
        "/proc/self/mem": "it is no minnet file|Input/output error",
        "nul\0": "this is no path of a file",
        "\ud800": "this is no path of a file",
    }.items():
        with pytest.raises(FileError, match=words):
            load(os.path.join(tmp_path, name))


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    link, target = tmp_path / "link", tmp_path / "real" / "net"
    link.symlink_to(target)
    for value in (1, 2):  # first it dangles
        save(small(value), link)
        assert link.is_symlink() and value_in(target) == value_in(link) == value
    assert os.listdir(target.parent) == ["net"]


def test_the_rights_of_the_file_stay(path: Path) -> None:
    path.chmod(0o640)
    save(small(2), path)
    assert path.stat().st_mode & 0o777 == 0o640
    before = os.umask(0o077)
    try:
        save(small(2), path.with_name("new"))
    finally:
        os.umask(before)
    assert path.with_name("new").stat().st_mode & 0o777 == 0o600


def test_leftovers_go_and_what_a_living_writer_has_stays(path: Path) -> None:
    folder = path.parent
    (folder / TEMPORARY).write_bytes(b"half a file")
    others = [".minnet-short.tmp", "minnet-0123456789abcdef.tmp", f"{TEMPORARY}2", "mine.tmp"]
    for name in others:
        (folder / name).write_text("somebody's own")
    (folder / TEMPORARY.replace("0", "a")).mkdir()
    (folder / TEMPORARY.replace("0", "b")).symlink_to(folder / "mine.tmp")
    os.mkfifo(folder / TEMPORARY.replace("0", "c"))
    living = folder / TEMPORARY.replace("0", "f")
    with open(living, "wb") as file:
        durable._lock(file.fileno(), wait=True)
        save(small(2), path)
        assert living.exists() and not (folder / TEMPORARY).exists()
    save(small(3), path)
    assert not living.exists()
    assert all((folder / name).read_text() == "somebody's own" for name in others)
    assert value_in(path) == 3


def test_a_new_file_that_another_writer_took_for_a_leftover_is_written_again(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock, taken = durable._lock, []

    def too_late(descriptor: int, wait: bool) -> None:
        if not taken:
            taken.extend(leftovers(path.parent))
            os.unlink(path.parent / taken[0])
        lock(descriptor, wait)

    monkeypatch.setattr(durable, "_lock", too_late)
    save(small(2), path)
    assert len(taken) == 1 and value_in(path) == 2 and leftovers(path.parent) == []


def test_a_file_system_without_locks_is_no_error(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_locks(descriptor: int, wait: bool) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    (path.parent / TEMPORARY).write_bytes(b"half a file")
    monkeypatch.setattr(durable, "_lock", no_locks)
    save(small(2), path)
    assert value_in(path) == 2
    assert leftovers(path.parent) == [TEMPORARY], "it could be a living writer's"


def test_two_processes_and_two_threads_write_one_file(path: Path) -> None:
    values = run(
        """
        import threading
        path = sys.argv[1]
        def write(value):
            for _ in range(25):
                save(small(value), path)
        def work(first):
            threads = [threading.Thread(target=write, args=(first + i,)) for i in range(2)]
            [thread.start() for thread in threads]
            [thread.join() for thread in threads]
        children = [forked(lambda: work(2)), forked(lambda: work(4))]
        values = set()
        while children:
            values.add(outcome(path))
            for child in list(children):
                ended, status = os.waitpid(child, os.WNOHANG)
                if ended:
                    assert status == 0
                    children.remove(child)
        print(json.dumps([sorted(values), os.listdir(os.path.dirname(path))]))
        """,
        path,
    )
    assert set(values[0]) <= {1, 2, 3, 4, 5} and values[1] == [path.name]


@pytest.fixture
def memory_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder where fsync costs nothing, where there is one."""
    if not os.access("/dev/shm", os.W_OK):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        yield Path(folder)


def test_a_thousand_saves_and_loads_grow_nothing(memory_disk: Path) -> None:
    memory, descriptors, files = run(
        """
        path, net = os.path.join(sys.argv[1], "net.minnet"), small(1)
        def usage():
            with open("/proc/self/statm") as statm:
                return int(statm.read().split()[1]) * 4, len(os.listdir("/proc/self/fd"))
        for number in range(1100):
            if number == 100:
                before = usage()
            save(net, path)
            net = load(path)
            for wrong in (sys.argv[1], "/dev/null", "/proc/version", "/missing"):
                try:
                    load(wrong)
                except FileError:
                    continue
                raise SystemExit(wrong)
        after = usage()
        print(json.dumps([after[0] - before[0], after[1] - before[1], os.listdir(sys.argv[1])]))
        """,
        memory_disk,
    )
    assert memory < 1024, "kilobytes: one a save would be a thousand"
    assert descriptors == 0 and files == ["net.minnet"]


def test_what_cannot_be_saved_never_touches_the_disk(path: Path) -> None:
    before = path.stat()
    with pytest.raises(FileError, match="registered"):
        save(Network([minnet.Map(lambda x: x, lambda x: 1)]), path)
    assert path.stat() == before and os.listdir(path.parent) == [path.name]
