"""Harm from inside a worker: it crashes, hangs, fills memory or disk, or stands still where a test wants to kill it.

Nothing happens but in a confined process: the tests themselves build these techniques, too.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import re
import signal
import socket
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from optimizer.context import RunContext
from optimizer.model import Model
from optimizer.runs.worker import Voice
from optimizer.sources.summary import Finding, ModelSummary
from optimizer.technique import Stage, Technique, param, technique

READING, STEP = "reading", "hostile"
BOUNDARIES = (READING, "Load the model", "Baseline", STEP, "Convert", "Measure", "done")
"""Where a run with one step can be stopped: before its first stage, at the beginning of each, and after its last word."""


def loop_in_c() -> None:
    """C code that holds the interpreter's lock for longer than anybody waits."""
    re.match(r"(a+)+$", "a" * 60 + "b")


def eat_memory() -> None:
    """Ask Python for more, until it has none."""
    # What the limit leaves for TensorFlow's libraries is taken up first, unused: it is not what the job may use.
    kept: list[object] = [mmap.mmap(-1, 5 * 2**29 if "tensorflow" in sys.modules else 2**32)]
    while True:
        kept.append(bytearray(2**26))


def die_of_no_memory() -> None:
    """End as C++ code does that gets no memory: it says so and aborts."""
    os.write(2, b"terminate called after throwing an instance of 'std::bad_alloc'\n")
    os.abort()


def eat_memory_in_c() -> None:
    """Ask the C++ runtime for more, until it throws std::bad_alloc, which nobody catches."""
    new = ctypes.CDLL("libstdc++.so.6")["_Znwm"]
    new.argtypes, new.restype = [ctypes.c_size_t], ctypes.c_void_p
    while True:
        new(2**26)


def fill_the_disk() -> None:
    """Write one file without end."""
    with Path("big").open("wb") as file:
        while True:
            file.write(bytes(2**20))


def fill_the_folder() -> None:
    """Write many files, each below the limit of one."""
    for number in range(100_000):
        Path(f"part{number}").write_bytes(bytes(2**20))


def fill_the_disk_without_names() -> None:
    """Delete files and go on writing to them."""
    kept = []
    for _ in range(200):
        kept.append(os.open("part", os.O_WRONLY | os.O_CREAT))
        Path("part").unlink()
        os.write(kept[-1], bytes(2**20))
    threading.Event().wait()


def talk_nonsense() -> None:
    """Break the protocol on the pipe to the runner."""
    os.write(int(sys.argv[6]), b"nonsense\n")
    threading.Event().wait()


ACTS = {
    "nothing": lambda: None,
    "bug": lambda: 1 / 0,
    "crash": lambda: ctypes.string_at(0),
    "disk": fill_the_disk,
    "folder": fill_the_folder,
    "no names": fill_the_disk_without_names,
    "halt": lambda: os.kill(os.getpid(), signal.SIGSTOP),
    "loop": loop_in_c,
    "memory": eat_memory,
    "memory in C": eat_memory_in_c,
    "native memory": die_of_no_memory,
    "network": socket.socket,
    "secret": lambda: os.open("/etc/passwd", os.O_RDONLY),
    "wrong words": talk_nonsense,
    "x32": lambda: ctypes.CDLL(None).syscall(ctypes.c_long(0x40000000 | 39)),
}


def act_after(boundary: str, act: str) -> None:
    """Act as soon as the worker has said that it enters that stage (or that it is done)."""
    say = Voice.say

    def say_and_act(voice: Voice, type_: str, *, kind: str = "", data: Mapping[str, Any] | None = None) -> None:
        say(voice, type_, kind=kind, data=data)
        if boundary in (type_, (data or {}).get("name")):
            ACTS[act]()

    Voice.say = say_and_act


@technique("hostile", family="pruning")
class Hostile(Technique):
    """Does harm."""

    consumes = produces = Stage.KERAS
    act: str = param("nothing", choices=tuple(ACTS), help="What it does.")
    at: str = param(READING, choices=BOUNDARIES, help="When it does it.")

    def validate(self) -> None:
        if "NoNewPrivs:\t1" not in Path("/proc/self/status").read_text():
            return
        if self.at == READING:
            ACTS[self.act]()
        else:
            act_after(self.at, self.act)

    def check(self, model: ModelSummary) -> list[Finding]:
        return []

    def apply(self, model: Model, context: RunContext) -> Model:
        return model


@technique("crashing_file", family="quantization")
class CrashingFile(Technique):
    """Makes a .tflite that crashes the interpreter: the weights of its operator 0 have index -1."""

    consumes, produces = Stage.KERAS, Stage.LITERT

    def check(self, model: ModelSummary) -> list[Finding]:
        return []

    def apply(self, model: Model, context: RunContext) -> Model:
        from optimizer.conversion import convert

        return model.changed(litert=without_weights(convert(model.keras)))


def without_weights(content: bytes) -> bytes:
    """The .tflite with weights index -1 in operator 0."""
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    file = schema.ModelT.InitFromPackedBuf(content, 0)
    operator = file.subgraphs[0].operators[0]
    operator.inputs = [operator.inputs[0], -1, *operator.inputs[2:]]
    builder = flatbuffers.Builder(len(content))
    builder.Finish(file.Pack(builder), b"TFL3")
    return bytes(builder.Output())
