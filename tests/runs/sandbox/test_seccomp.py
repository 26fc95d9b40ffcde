"""The filter, run as the kernel runs it: for both families of processors, also the one that these tests do not run on."""

from __future__ import annotations

import errno

import pytest

from optimizer.runs.sandbox.seccomp import Instruction, job_filter
from optimizer.runs.sandbox.system_calls import AUDIT_ARCHITECTURE, checked_calls, denied_calls

PID = 4711
ALLOWED, KILLED = 0x7FFF0000, 0x80000000
DENIED, UNKNOWN = 0x00050000 | errno.EPERM, 0x00050000 | errno.ENOSYS
MACHINES = ("x86_64", "aarch64")


def verdict(program: list[Instruction], machine: str, number: int, *arguments: int) -> int:
    """What the filter says of a call: a small machine for the instructions that it uses."""
    words = {0: number, 4: AUDIT_ARCHITECTURE[machine]}
    words |= {16 + 8 * position: value & 0xFFFFFFFF for position, value in enumerate((*arguments, *[0] * (6 - len(arguments))))}
    accumulator = at = 0
    while True:
        code, if_true, if_false, value = program[at]
        at += 1
        if code == 0x20:
            accumulator = words[value]
        elif code == 0x06:
            return value
        else:
            test = {0x15: accumulator == value, 0x35: accumulator >= value, 0x45: accumulator & value != 0}[code]
            at += if_true if test else if_false


@pytest.mark.parametrize("machine", MACHINES)
def test_every_denied_call_is_denied_and_no_number_stands_for_two(machine: str) -> None:
    program = job_filter(PID, machine)
    numbers = [*denied_calls(machine).values(), *checked_calls(machine).values()]
    assert len(set(numbers)) == len(numbers)
    assert {verdict(program, machine, number) for number in denied_calls(machine).values()} == {DENIED}
    others = set(range(470)) - set(numbers)
    assert {verdict(program, machine, number) for number in others} == {ALLOWED}


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize(
    ("call", "arguments", "expected"),
    [
        ("clone", (0x3D0F00,), ALLOWED),  # What glibc asks for when it starts a thread.
        ("clone", (0x01200011,), DENIED),  # What glibc asks for when it forks.
        ("clone3", (0, 88), UNKNOWN),
        ("kill", (PID, 9), ALLOWED),
        ("kill", (-PID, 9), ALLOWED),
        ("kill", (0, 9), ALLOWED),
        ("kill", (-1, 9), DENIED),
        ("kill", (PID + 1, 9), DENIED),
        ("tgkill", (PID, PID + 3, 6), ALLOWED),
        ("tgkill", (PID + 1, PID + 1, 6), DENIED),
        ("rt_sigqueueinfo", (1, 9), DENIED),
        ("rt_tgsigqueueinfo", (1, 1, 9), DENIED),
        ("prlimit64", (0, 7), ALLOWED),
        ("prlimit64", (1, 7), DENIED),
        ("prctl", (1, 0), DENIED),
        ("prctl", (15, 0), ALLOWED),
        ("fcntl", (3, 1), ALLOWED),
        ("fcntl", (3, 8), DENIED),
        ("fcntl", (3, 15), DENIED),
        ("ioctl", (1, 0x5401), ALLOWED),
        ("ioctl", (0, 0x5412), DENIED),
    ],
)
def test_arguments_decide(machine: str, call: str, arguments: tuple[int, ...], expected: int) -> None:
    assert verdict(job_filter(PID, machine), machine, checked_calls(machine)[call], *arguments) == expected


def test_calls_of_another_architecture_or_of_x32_kill() -> None:
    program = job_filter(PID, "x86_64")
    assert verdict(program, "aarch64", 198) == KILLED
    assert verdict(program, "x86_64", 0x40000000 | 41) == KILLED
    assert verdict(job_filter(PID, "aarch64"), "x86_64", 41) == KILLED
