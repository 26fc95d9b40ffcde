"""Hundreds of damaged data files: each is read or refused with a typed error; nothing else comes out."""

import io
import random
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from optimizer.errors import InputError
from optimizer.sources.dataset import Dataset


def npz(path: Any) -> None:
    chance = np.random.default_rng(0)
    np.savez_compressed(path, x=chance.random((40, 3)), y=np.arange(40) % 2)


def table(path: Any) -> None:
    path.write_text("a,b,label\n" + "".join(f'{n},{n / 7:.3f},"{"no" if n % 2 else "yes"}"\n' for n in range(40)))


def pictures(path: Any) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for n in range(16):
            target = io.BytesIO()
            kind = ("PNG", "JPEG", "BMP", "WEBP")[n % 4]
            Image.new("RGB", (9, 9), (n, 2 * n, 3 * n)).save(target, kind)
            archive.writestr(f"{'ab'[n // 8]}/{n}.{kind.lower()}", target.getvalue())


@pytest.mark.parametrize(("name", "make"), [("f.npz", npz), ("f.csv", table), ("f.zip", pictures)])
def test_bytes_changed_at_random(tmp_path: Path, read_data: Callable[..., Dataset], name: str, make: Any) -> None:
    path, chance = tmp_path / name, random.Random(0)
    make(path)
    data, outcomes = path.read_bytes(), []
    for _ in range(150):
        damaged = bytearray(data)
        for _ in range(chance.choice((1, 2, 8))):
            damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        path.write_bytes(damaged if chance.random() < 0.8 else damaged[: chance.randrange(len(damaged))])
        try:
            read_data(path)
            outcomes.append("read")
        except InputError as error:
            outcomes.append(error.code)
    assert len(set(outcomes)) >= 3
