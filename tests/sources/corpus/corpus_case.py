"""What one bad input is: how it is made, and how it must be refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

MEGABYTE = 1024**2

Maker = Callable[[Path], Path]


@dataclass(frozen=True, kw_only=True)
class Case:
    """One bad input.

    `number` is its row in safety.md ("+" for those found since); `place` and `received` are pieces that the error must name; `limit`
    says that it must tell the limit; `kind` is "model", "data" or "pair" (a folder of model.h5 and data.npz).
    """

    number: str
    make: Maker
    code: str
    kind: str
    place: str = ""
    received: str = ""
    limit: bool = False
    bomb: bool = False
    name: str = ""

    @property
    def title(self) -> str:
        return f"{self.number}-{self.make.__name__}-{self.code}"


CASES: list[Case] = []


def case(
    number: str,
    code: str,
    kind: str,
    *,
    place: str = "",
    received: str = "",
    limit: bool = False,
    bomb: bool = False,
    name: str = "",
) -> Callable[[Maker], Maker]:
    """Register a maker as a bad input that must be refused with this code."""

    def register(make: Maker) -> Maker:
        CASES.append(
            Case(
                number=number,
                make=make,
                code=code,
                kind=kind,
                place=place,
                received=received,
                limit=limit,
                bomb=bomb,
                name=name,
            )
        )
        return make

    return register
