"""What a confined process can and cannot do: real processes on the real kernel."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from optimizer.runs.sandbox.kernel import MACHINE
from tests.runs.sandbox.trials import ROOT, confined

CANARY = "untouched"
CALL = """
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
from optimizer.runs.sandbox.system_calls import checked_calls, denied_calls
def call(name, *arguments):
    number = {**checked_calls(), **denied_calls()}[name]
    if libc.syscall(ctypes.c_long(number), *map(ctypes.c_long, arguments)) < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
"""
ACTS = {
    "read the list of users": "open('/etc/passwd')",
    "list the home folder": "os.listdir(canary.parent)",
    "read a file of the person": "canary.read_text()",
    "read the parent's environment": "open(f'/proc/{os.getppid()}/environ')",
    "see the parent's command line": "open(f'/proc/{os.getppid()}/cmdline')",
    "write to a file of the person": "canary.open('w')",
    "append to a file of the person": "canary.open('a')",
    "truncate without opening": "os.truncate(canary, 0)",
    "make a file outside": "(canary.parent / 'new').touch()",
    "make a file in /tmp": "open('/tmp/litesmith-canary', 'w')",
    "write into Litesmith": "open(Path(sys.modules['optimizer'].__file__), 'a')",
    "write into the interpreter": "open(os.path.join(sys.prefix, 'canary'), 'w')",
    "delete a file": "canary.unlink()",
    "rename a file": "canary.rename('here')",
    "take a file in by a link": "os.link(canary, 'here')",
    "leave a symlink": "os.symlink(canary, 'here')",
    "leave a pipe": "os.mkfifo('here')",
    "change a mode": "os.chmod(canary, 0o777)",
    "change an own file's mode": "Path('own').touch() or os.chmod('own', 0o4777)",
    "change a time": "os.utime(canary, (0, 0))",
    "change an owner": "os.chown(canary, 1, 1)",
    "set an attribute": "os.setxattr(canary, 'user.x', b'1')",
    "open a TCP socket": "__import__('socket').socket()",
    "open a local socket": "__import__('socket').socket(__import__('socket').AF_UNIX)",
    "open a netlink socket": "__import__('socket').socket(16, 3)",
    "fork": "os.fork() or os._exit(0)",
    "start a program in place": "os.execv(sys.executable, ['python'])",
    "start a program beside": "__import__('subprocess').run([sys.executable, '-c', ''])",
    "spawn": "os.posix_spawn('/usr/bin/env', ['env'], {})",
    "keep a file in memory": "os.memfd_create('x')",
    "leave the process group": "os.setpgid(0, 0)",
    "leave the session": "os.setsid()",
    "signal the parent": "os.kill(os.getppid(), signal.SIGTERM)",
    "signal the parent's thread": "call('tgkill', os.getppid(), os.getppid(), signal.SIGTERM)",
    "signal a thread by its number": "call('tkill', os.getppid(), signal.SIGTERM)",
    "queue a signal to the parent": "call('rt_sigqueueinfo', os.getppid(), signal.SIGTERM, 0)",
    "signal everyone": "os.kill(-1, 0)",
    "hold the parent": "os.pidfd_open(os.getppid())",
    "have signals sent by the kernel": "__import__('fcntl').fcntl(0, 8, os.getppid())",
    "type into a terminal": "__import__('fcntl').ioctl(0, 0x5412, b'x')",
    "outlive the parent": "libc.prctl(1, 0, 0, 0, 0) == 0 or call('prctl', 1, 0)",
    "trace the parent": "call('ptrace', 16, os.getppid(), 0, 0)",
    "read the parent's memory": "call('process_vm_readv', os.getppid(), 0, 0, 0, 0, 0)",
    "write the parent's memory": "call('process_vm_writev', os.getppid(), 0, 0, 0, 0, 0)",
    "lift the parent's limits": "resource.prlimit(os.getppid(), resource.RLIMIT_CORE, (0, 0))",
    "lift its own limits": "resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY,) * 2)",
    "slow the parent down": "os.setpriority(os.PRIO_PROCESS, os.getppid(), 19)",
    "load a BPF program": "call('bpf', 0, 0, 0)",
    "set up io_uring": "call('io_uring_setup', 1, 0)",
    "mount": "call('mount', 0, 0, 0, 0, 0)",
    "enter a user namespace": "call('unshare', 0x10000000)",
    "make a process by clone": "call('clone', 17, 0, 0, 0, 0)",
    "make a process by clone3": "call('clone3', 0, 0)",
    "read keys": "call('keyctl', 0, 0)",
    "watch the processor": "call('perf_event_open', 0, 0, 0, 0, 0)",
    "handle page faults": "call('userfaultfd', 1)",
    "watch files": "call('inotify_init1', 0)",
    "share memory with others": "call('shmget', 1, 4096, 0o1777)",
    "open by handle": "call('open_by_handle_at', 0, 0, 0)",
}


@pytest.fixture
def canary(tmp_path: Path) -> Path:
    path = tmp_path / "home" / "canary.txt"
    path.parent.mkdir()
    path.write_text(CANARY)
    path.chmod(0o640)
    os.utime(path, (1_000_000_000, 1_000_000_000))
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "own").mkdir()
    return tmp_path / "own"


def test_everything_hostile_is_denied_and_nothing_is_touched(canary: Path, folder: Path) -> None:
    code = f"""
import errno, resource, signal
{CALL}
canary = Path({str(canary)!r})
acts = {ACTS!r}
for name, act in acts.items():
    try:
        eval(act)
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.EACCES, errno.ENOSYS, errno.EXDEV):
            print(name, repr(error))
    except ValueError as error:  # Python's words for EPERM of setrlimit.
        if "limit" not in str(error):
            print(name, repr(error))
    else:
        print(name, "was not denied")
"""
    done = confined(code, folder)
    assert (done.stdout, done.stderr, done.returncode) == ("", "", 0)
    assert canary.read_text() == CANARY
    found = canary.stat()
    assert (found.st_mode & 0o7777, found.st_mtime, found.st_nlink) == (0o640, 1_000_000_000, 1)
    assert [path.name for path in canary.parent.iterdir()] == ["canary.txt"]
    assert not Path("/tmp/litesmith-canary").exists()  # noqa: S108
    assert not (Path(sys.prefix) / "canary").exists()
    assert [path.name for path in folder.iterdir()] == ["own"]


def test_a_job_can_do_its_work(folder: Path) -> None:
    code = """
import shutil, tempfile, threading
os.environ["JOBLIB_MULTIPROCESSING"] = "0"
Path("a/b").mkdir(parents=True)
Path("a/b/file").write_text("x")
Path("a/b/file").rename("moved")
shutil.copyfile("moved", "copy")
shutil.rmtree("a")
with tempfile.TemporaryDirectory(dir=".") as inner:
    (Path(inner) / "x").touch()
thread = threading.Thread(target=lambda: print("thread"))
thread.start(); thread.join()
import h5py, numpy, pandas, PIL.Image, sklearn.datasets, time
print(int(numpy.dot(numpy.ones((300, 300)), numpy.ones((300, 300)))[0, 0]))
with h5py.File("x.h5", "w") as file:
    file["x"] = numpy.zeros(3)
PIL.Image.new("L", (4, 4)).save("x.png")
pandas.DataFrame({"x": [1]}).to_csv("x.csv")
print(sklearn.datasets.load_digits().images.shape, time.localtime().tm_zone != "")
"""
    done = confined(code, folder)
    assert done.stderr == ""
    assert done.stdout.split("\n") == ["thread", "300", "(1797, 8, 8) True", ""]


def test_the_kernel_says_that_the_layers_are_on(folder: Path) -> None:
    done = confined("print(open('/proc/self/status').read())", folder)
    fields = dict(line.split(":\t", 1) for line in done.stdout.splitlines() if ":\t" in line)
    assert (fields["NoNewPrivs"], fields["Seccomp"]) == ("1", "2")
    # At most CAP_DAC_READ_SEARCH is left, where root runs this.
    assert int(fields["CapEff"], 16) & ~4 == 0
    assert int(fields["CapPrm"], 16) & ~4 == 0


def test_threads_that_start_later_are_confined_too(folder: Path) -> None:
    code = """
import threading
def act():
    for path in ("/etc/passwd",):
        try:
            open(path)
        except PermissionError:
            print("denied")
    try:
        __import__("socket").socket()
    except PermissionError:
        print("denied")
thread = threading.Thread(target=act)
thread.start(); thread.join()
"""
    assert confined(code, folder).stdout == "denied\ndenied\n"


def test_a_process_that_has_threads_already_is_not_confined_by_halves(folder: Path) -> None:
    code = (
        f"import sys, threading, time; sys.path.insert(0, {str(ROOT)!r})\nfrom pathlib import Path\n"
        "from optimizer.runs.sandbox.confinement import confine\nfrom optimizer.runs.sandbox.limits import Limits\n"
        "threading.Thread(target=time.sleep, args=(30,), daemon=True).start()\n"
        "confine(Path.cwd(), limits=Limits(memory_bytes=2**30))"
    )
    done = subprocess.run([sys.executable, "-I", "-c", code], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "RuntimeError" in done.stderr


def test_memory_ends_at_the_limit(folder: Path) -> None:
    done = confined("kept = []\nwhile True: kept.append(bytearray(2**27))", folder, memory_bytes=2**28)
    assert done.returncode == 1
    assert "MemoryError" in done.stderr


def test_a_file_ends_at_the_limit(folder: Path) -> None:
    code = """
import errno
with open("big", "wb", buffering=0) as file:
    try:
        while True: file.write(bytes(2**18))
    except OSError as error:
        print(error.errno == errno.EFBIG)
"""
    assert confined(code, folder, file_bytes=2**20).stdout == "True\n"
    assert (folder / "big").stat().st_size == 2**20


@pytest.mark.skipif(MACHINE != "x86_64", reason="x32 is a second table of calls that only x86-64 has")
def test_calls_of_another_table_kill_the_process(folder: Path) -> None:
    done = confined("import ctypes; ctypes.CDLL(None).syscall(ctypes.c_long(0x40000000 | 39))", folder)
    assert done.returncode == -signal.SIGSYS


def test_an_endless_loop_in_c_code_ends_at_the_limit_of_processor_time(folder: Path) -> None:
    code = """
import collections, itertools
from optimizer.runs.sandbox import limits
limits._CPU_SLACK_S = 1
limits.limit_cpu(0.1)
collections.deque(itertools.count(), maxlen=0)
"""
    assert confined(code, folder).returncode == -signal.SIGXCPU
