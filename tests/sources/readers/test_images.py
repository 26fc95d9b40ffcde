"""Zips of class folders: what is read, and what is refused with the name of the file."""

import io
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from optimizer.errors import InputError
from optimizer.sources.dataset import Dataset


def picture(value: Any = 0, size: Any = (8, 8), mode: Any = "RGB", kind: str = "PNG") -> Any:
    target = io.BytesIO()
    Image.new(mode, size, value if mode == "L" else (value,) * len(mode)).save(target, kind)
    return target.getvalue()


def members(count: Any = 8, **options: Any) -> Any:
    return {
        f"{name}/{n}.png": picture(10 * n + 100 * k, **options) for k, name in enumerate(("ant", "bee")) for n in range(count)
    }


def archive(tmp_path: Path, content: Any, name: str = "pictures.zip", compression: Any = zipfile.ZIP_DEFLATED) -> Any:
    path = tmp_path / name
    with zipfile.ZipFile(path, "w", compression) as target:
        for key, data in content.items():
            target.writestr(key, data)
    return path


def test_one_folder_is_one_class(tmp_path: Path, read_data: Callable[..., Dataset]) -> None:
    dataset = read_data(archive(tmp_path, members()))
    assert dataset.class_names == ("ant", "bee")
    assert dataset.kind == "images"
    assert dataset.train.x.shape[1:] == (8, 8, 3)
    assert dataset.train.x.dtype == np.uint8
    np.testing.assert_array_equal(dataset.train.x[:, 0, 0, 0] >= 100, dataset.train.y == 1)


def test_a_wrapping_folder_and_litter_are_passed_over(tmp_path: Path, read_data: Callable[..., Dataset]) -> None:
    content = {f"photos/{key}": data for key, data in members(mode="L").items()}
    content |= {"photos/.DS_Store": b"x", "__MACOSX/photos/ant/._0.png": b"x", "photos/readme.txt": b"x"}
    dataset = read_data(archive(tmp_path, content))
    assert dataset.class_names == ("ant", "bee")
    assert dataset.train.x.shape[1:] == (8, 8, 1)
    assert any("1 files that are no images" in note for note in dataset.notes)


def test_train_and_test_folders_are_the_splits(tmp_path: Path, read_data: Callable[..., Dataset]) -> None:
    content = {f"train/{key}": data for key, data in members().items()} | {
        f"test/{key}": data for key, data in members(3).items()
    }
    dataset = read_data(archive(tmp_path, content))
    assert dataset.class_names == ("ant", "bee")
    assert dataset.counts()["test"] == 6


def test_other_sizes_are_resized_to_the_most_common_one_and_said(tmp_path: Path, read_data: Callable[..., Dataset]) -> None:
    dataset = read_data(archive(tmp_path, members() | {"ant/big.jpg": picture(5, (20, 10), kind="JPEG")}))
    assert dataset.train.x.shape[1:] == (8, 8, 3)
    assert any("1 of 17 images were resized to 8 x 8" in note for note in dataset.notes)


def test_images_without_folders_have_no_labels(tmp_path: Path, read_data: Callable[..., Dataset]) -> None:
    assert read_data(archive(tmp_path, {f"{n}.bmp": picture(n, kind="BMP") for n in range(15)})).labels == "none"


def test_a_class_folder_with_one_image(tmp_path: Path, refused_data: Callable[..., InputError]) -> None:
    error = refused_data(archive(tmp_path, members() | {"cow/0.png": picture()}), "TOO_FEW_SAMPLES")
    assert "cow" in error.place


def test_an_empty_zip(tmp_path: Path, refused_data: Callable[..., InputError]) -> None:
    refused_data(archive(tmp_path, {}), "EMPTY_ZIP")
    refused_data(archive(tmp_path, {"a/b.txt": b"x"}), "EMPTY_ZIP")


@pytest.mark.parametrize("name", ["../evil.png", "/etc/evil.png", "ant\\..\\evil.png", "C:/evil.png", "ant/../../evil.png"])
def test_names_that_point_outside(tmp_path: Path, refused_data: Callable[..., InputError], name: str) -> None:
    assert name.split("/")[-1] in refused_data(archive(tmp_path, members() | {name: picture()}), "UNSAFE_PATH").received


def test_links_and_two_files_of_one_name(tmp_path: Path, refused_data: Callable[..., InputError]) -> None:
    path = archive(tmp_path, members())
    with zipfile.ZipFile(path, "a") as target:
        link = zipfile.ZipInfo("ant/link.png")
        link.create_system, link.external_attr = 3, 0o120777 << 16
        target.writestr(link, "/etc/passwd")
    refused_data(path, "UNSAFE_PATH")
    path = archive(tmp_path, members())
    with pytest.warns(UserWarning, match="Duplicate"), zipfile.ZipFile(path, "a") as target:
        target.writestr("ant/0.png", picture())
    refused_data(path, "DUPLICATE")


def patched(path: Any, offset: Any, value: Any, signature: Any = b"PK\x01\x02", size: Any = "<H") -> Any:
    """Overwrite a field of every entry in the table of contents."""
    data = bytearray(path.read_bytes())
    start = 0
    while (start := data.find(signature, start)) >= 0:
        struct.pack_into(size, data, start + offset, value)
        start += 4
    path.write_bytes(data)
    return path


def test_encrypted_overlapping_and_lying_archives(tmp_path: Path, refused_data: Callable[..., InputError]) -> None:
    refused_data(patched(archive(tmp_path, members()), 8, 1), "ENCRYPTED")
    refused_data(patched(archive(tmp_path, members()), 42, 0, size="<I"), "ZIP_BOMB")
    refused_data(patched(archive(tmp_path, members()), 24, 12, size="<I"), "BAD_ZIP")
    refused_data(archive(tmp_path, members() | {"ant/x.png": b"\0" * 5_000_000}), "ZIP_BOMB")
    refused_data(patched(archive(tmp_path, members()), 24, 2**31, size="<I"), "ZIP_BOMB")


def test_too_many_files(tmp_path: Path, refused_data: Callable[..., InputError]) -> None:
    path = tmp_path / "many.zip"
    with zipfile.ZipFile(path, "w") as target:
        for n in range(80_001):
            target.writestr(f"a/{n}", b"")
    refused_data(path, "TOO_MANY")


def test_a_broken_zip(tmp_path: Path, refused_data: Callable[..., InputError]) -> None:
    path = archive(tmp_path, members())
    path.write_bytes(path.read_bytes()[:-100])
    refused_data(path, "BAD_ZIP")


def huge_png() -> Any:
    """A PNG whose header claims 50,000 x 50,000 pixels."""
    body = b"IHDR" + struct.pack(">IIBBBBB", 50_000, 50_000, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + body + struct.pack(">I", zlib.crc32(body)) + b"\0\0\0\0IEND\xaeB`\x82"


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (huge_png(), "IMAGE_TOO_LARGE"),
        (picture(size=(64, 64))[:60], "BAD_IMAGE"),
        (b"just text", "BAD_IMAGE"),
        (b"", "BAD_IMAGE"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 1 1\n", "BAD_IMAGE"),
        (picture(size=(6000, 6000), mode="L"), "IMAGE_TOO_LARGE"),
    ],
    ids=["huge", "cut", "text", "empty", "eps", "large"],
)
def test_images_that_are_none_are_named(tmp_path: Path, refused_data: Callable[..., InputError], content: Any, code: str) -> None:
    assert "ant/bad.png" in refused_data(archive(tmp_path, members() | {"ant/bad.png": content}), code).place


def test_sixteen_bit_images(tmp_path: Path, refused_data: Callable[..., InputError]) -> None:
    target = io.BytesIO()
    Image.fromarray(np.zeros((8, 8), np.uint16)).save(target, "PNG")
    refused_data(archive(tmp_path, members() | {"ant/deep.png": target.getvalue()}), "BAD_IMAGE")
