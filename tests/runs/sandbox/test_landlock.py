"""Rights by version; what Landlock does is tried in test_confinement."""

from __future__ import annotations

import pytest

from optimizer.runs.sandbox.landlock import READ, WRITE, handled_rights


@pytest.mark.parametrize(
    ("version", "bits", "network", "scoped"),
    [(1, 13, 0, 0), (2, 14, 0, 0), (3, 15, 0, 0), (4, 15, 3, 0), (5, 16, 3, 0), (6, 16, 3, 3), (7, 16, 3, 3)],
)
def test_each_version_takes_away_what_it_can(version: int, bits: int, network: int, scoped: int) -> None:
    assert handled_rights(version) == ((1 << bits) - 1, network, scoped)


def test_nobody_may_execute_or_make_links_and_devices() -> None:
    execute, make_char, make_sock, make_fifo, make_block, make_sym = (1 << bit for bit in (0, 6, 9, 10, 11, 12))
    assert not (READ | WRITE) & (execute | make_char | make_sock | make_fifo | make_block | make_sym)
