"""Bad inputs 25 to 33: arrays, archives, pictures and tables that lie, and data that do not go with their model."""

from __future__ import annotations

import io
import pickle
import struct
import unicodedata
import zipfile
import zlib
from pathlib import Path
from typing import Any

import good_files as good
import numpy as np
from corpus_case import MEGABYTE, case


def _npy(shape: str, data: bytes = b"", descr: str = "'<f4'", header: str = "") -> bytes:
    """A .npy with any header at all."""
    text = (header or f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}").encode()
    text += b" " * (63 - (len(text) + 10) % 64) + b"\n"
    if len(text) < 65536:
        return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + data
    return b"\x93NUMPY\x02\x00" + len(text).to_bytes(4, "little") + text + data


def _npz(folder: Path, **members: bytes) -> Path:
    return good.zipped(folder / "a.npz", {f"{name}.npy": data for name, data in members.items()}, zipfile.ZIP_DEFLATED)


class _Bomb:
    def __init__(self, folder: Path) -> None:
        self._canary = str(folder / "canary")

    def __reduce__(self) -> Any:
        return (open, (self._canary, "w"))


@case("25", "PICKLE_REFUSED", "data", place="array x")
def pickled_object(folder: Path) -> Path:
    target = io.BytesIO()
    np.lib.format.write_array(target, np.array([_Bomb(folder)], dtype=object), allow_pickle=True)
    return _npz(folder, x=target.getvalue())


@case("+", "PICKLE_REFUSED", "data", place="array x")
def object_inside_a_record(folder: Path) -> Path:
    return _npz(folder, x=_npy("(1,)", pickle.dumps([_Bomb(folder)]), descr="[('a', '|O'), ('b', '<f4')]"))


@case("+", "BAD_ARRAY", "data", place="array x")
def pickle_in_place_of_an_array(folder: Path) -> Path:
    return _npz(folder, x=pickle.dumps(_Bomb(folder)))


@case("26", "TOO_LARGE", "data", place="array x", limit=True, bomb=True)
def shape_of_twenty_billion(folder: Path) -> Path:
    return _npz(folder, x=_npy("(20000000000,)", b"\0" * 64))


@case("26", "BAD_ARRAY", "data", place="array x")
def shape_below_zero(folder: Path) -> Path:
    return _npz(folder, x=_npy("(-4,)", b"\0" * 64))


@case("26", "BAD_ARRAY", "data", place="array x", received="64 bytes")
def short_data(folder: Path) -> Path:
    return _npz(folder, x=_npy("(100, 5)", b"\0" * 64))


@case("+", "BAD_ARRAY", "data", place="array x")
def header_that_is_an_expression(folder: Path) -> Path:
    return _npz(folder, x=_npy("", header=f"__import__('pathlib').Path({str(folder / 'canary')!r}).touch()"))


@case("+", "BAD_ARRAY", "data", place="array x")
def header_without_end(folder: Path) -> Path:
    return _npz(folder, x=_npy("", header="{'descr': '<f4', 'shape': (" + "1," * 50_000 + ")}"))


@case("+", "BAD_ARRAY", "data", place="array x")
def header_of_brackets(folder: Path) -> Path:
    return _npz(folder, x=_npy("", header="(" * 9_000))


@case("+", "BAD_ARRAY", "data", place="array x")
def header_with_a_huge_shape_of_nothing(folder: Path) -> Path:
    return _npz(folder, x=_npy("(0, " + "9" * 100 + ")", b"\0" * 4))


@case("+", "BAD_ARRAY", "data", place="x")
def type_without_size(folder: Path) -> Path:
    return _npz(folder, x=_npy("(1000000000000,)", descr="'|V0'"))


@case("+", "BAD_ARRAY", "data", place="array x")
def array_of_arrays_of_terabytes(folder: Path) -> Path:
    return _npz(folder, x=_npy("(2,)", b"\0" * 8, descr="('<f4', (65536, 65536, 4))"))


@case("+", "BAD_ARRAY", "data", place="array x")
def array_of_arrays(folder: Path) -> Path:
    return _npz(folder, x=_npy("(40,)", b"\0" * 480, descr="('<f4', (3,))"))


@case("27", "TOO_LARGE", "data", place="array x", limit=True, bomb=True)
def gigabyte_of_zeros(folder: Path) -> Path:
    path = folder / "a.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("x.npy", "w", force_zip64=True) as file:
        file.write(_npy("(268435456,)"))
        block = b"\0" * 8 * MEGABYTE
        for _ in range(128):
            file.write(block)
    return path


def _with_member(folder: Path, name: Any) -> Path:
    return good.zipped(folder / "a.zip", {**good.picture_parts(), name: good.picture()})


@case("28", "UNSAFE_PATH", "data", received="../evil.png")
def climbing_name(folder: Path) -> Path:
    return _with_member(folder, "a/../../evil.png")


@case("28", "UNSAFE_PATH", "data", received="/etc/evil.png")
def absolute_name(folder: Path) -> Path:
    return _with_member(folder, "/etc/evil.png")


@case("28", "UNSAFE_PATH", "data", received="evil.png")
def backslashes(folder: Path) -> Path:
    return _with_member(folder, "a\\..\\evil.png")


@case("28", "UNSAFE_PATH", "data", received="link.png")
def symlink(folder: Path) -> Path:
    link = zipfile.ZipInfo("a/link.png")
    link.create_system, link.external_attr = 3, 0o120777 << 16
    return _with_member(folder, link)


@case("28", "DUPLICATE", "data", received="a/0.png")
def two_pictures_of_one_name(folder: Path) -> Path:
    return good.zipped(folder / "a.zip", [*good.picture_parts().items(), ("a/0.png", good.picture())])


@case("+", "DUPLICATE", "data")
def folders_that_differ_in_spelling_only(folder: Path) -> Path:
    extra = {unicodedata.normalize(form, "caf\u00e9") + "/0.png": good.picture() for form in ("NFC", "NFD")}
    return good.zipped(folder / "a.zip", {**good.picture_parts(), **extra})


def _patched(path: Path, offset: int, value: int, size: str, signature: bytes = b"PK\x01\x02") -> Path:
    """Overwrite a field of every entry in the table of contents."""
    data = bytearray(path.read_bytes())
    start = 0
    while (start := data.find(signature, start)) >= 0:
        struct.pack_into(size, data, start + offset, value)
        start += 4
    path.write_bytes(data)
    return path


@case("29", "ZIP_BOMB", "data", bomb=True)
def overlapping_members(folder: Path) -> Path:
    """All entries point at one member (CVE-2024-0450)."""
    return _patched(good.pictures(folder / "a.zip"), 42, 0, "<I")


@case("29", "ZIP_BOMB", "data", limit=True, bomb=True, place="a/x.png")
def picture_of_zeros(folder: Path) -> Path:
    return good.zipped(folder / "a.zip", {**good.picture_parts(), "a/x.png": b"\0" * 300 * MEGABYTE}, zipfile.ZIP_DEFLATED)


@case("29", "ENCRYPTED", "data")
def encrypted(folder: Path) -> Path:
    return _patched(good.pictures(folder / "a.zip"), 8, 1, "<H")


@case("29", "BAD_ZIP", "data")
def false_sizes(folder: Path) -> Path:
    return _patched(good.pictures(folder / "a.zip"), 24, 12, "<I")


@case("+", "ZIP_BOMB", "data", limit=True, bomb=True)
def false_sizes_of_zip64(folder: Path) -> Path:
    """A zip64 field that promises 2^62 bytes."""
    member = zipfile.ZipInfo("a/0.png")
    member.extra = struct.pack("<HHQQ", 1, 16, 2**62, 2**62)
    path = good.zipped(folder / "a.zip", [(member, good.picture()), ("b/0.png", good.picture())])
    data = bytearray(path.read_bytes())
    start = data.find(b"PK\x01\x02")
    struct.pack_into("<II", data, start + 20, 0xFFFFFFFF, 0xFFFFFFFF)
    path.write_bytes(data)
    return path


@case("29", "TOO_MANY", "data", limit=True)
def hundred_thousand_entries(folder: Path) -> Path:
    path = folder / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(100_000):
            archive.writestr(f"a/{number}", b"")
    return path


def _bad_picture(folder: Path, content: bytes, name: str = "bad.png") -> Path:
    return good.zipped(folder / "a.zip", {**good.picture_parts(), f"a/{name}": content})


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


@case("30", "IMAGE_TOO_LARGE", "data", place="a/bad.png", limit=True, bomb=True)
def png_of_fifty_thousand_pixels_a_side(folder: Path) -> Path:
    header = _chunk(b"IHDR", struct.pack(">IIBBBBB", 50_000, 50_000, 8, 2, 0, 0, 0))
    return _bad_picture(folder, b"\x89PNG\r\n\x1a\n" + header + _chunk(b"IEND", b""))


@case("30", "BAD_IMAGE", "data", place="a/bad.png")
def cut_png(folder: Path) -> Path:
    return _bad_picture(folder, good.picture(size=(64, 64))[:60])


@case("30", "BAD_IMAGE", "data", place="a/bad.png")
def text_named_png(folder: Path) -> Path:
    return _bad_picture(folder, b"This is a note.")


@case("30", "BAD_IMAGE", "data", place="a/bad.png")
def postscript(folder: Path) -> Path:
    return _bad_picture(folder, b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(x) run\n")


def _png_with(chunk: bytes) -> bytes:
    data = good.picture()
    return data[:33] + chunk + data[33:]


@case("+", "BAD_IMAGE", "data", place="a/bad.png", bomb=True)
def png_with_a_text_of_two_hundred_megabytes(folder: Path) -> Path:
    text = b"Comment\0\0" + zlib.compress(b"\0" * 200 * MEGABYTE, 9)
    return _bad_picture(folder, _png_with(_chunk(b"zTXt", text)))


@case("+", "BAD_IMAGE", "data", place="a/bad.png", bomb=True)
def png_with_a_colour_profile_of_two_hundred_megabytes(folder: Path) -> Path:
    profile = b"p\0\0" + zlib.compress(b"\0" * 200 * MEGABYTE, 9)
    return _bad_picture(folder, _png_with(_chunk(b"iCCP", profile)))


@case("+", "BAD_IMAGE", "data", place="a/bad.png", received="frames")
def picture_that_moves(folder: Path) -> Path:
    from PIL import Image

    target = io.BytesIO()
    frames = [Image.new("RGB", (9, 9), (n, n, n)) for n in range(0, 200, 10)]
    frames[0].save(target, "PNG", save_all=True, append_images=frames[1:])
    return _bad_picture(folder, target.getvalue())


@case("+", "IMAGE_TOO_LARGE", "data", place="a/bad.jpg", limit=True, bomb=True)
def jpeg_with_a_false_size(folder: Path) -> Path:
    data = bytearray(good.picture(kind="JPEG"))
    start = data.find(b"\xff\xc0")
    struct.pack_into(">HH", data, start + 5, 60_000, 60_000)
    return _bad_picture(folder, bytes(data), "bad.jpg")


@case("+", "BAD_IMAGE", "data", place="a/bad.jpg")
def jpeg_with_less_than_it_promises(folder: Path) -> Path:
    data = bytearray(good.picture(kind="JPEG"))
    start = data.find(b"\xff\xc0")
    struct.pack_into(">HH", data, start + 5, 3_000, 3_000)
    return _bad_picture(folder, bytes(data[:-40]), "bad.jpg")


def _csv(folder: Path, text: str, encoding: str = "utf-8") -> Path:
    (folder / "a.csv").write_bytes(text.encode(encoding))
    return folder / "a.csv"


ROWS = "".join(f"{n},{n / 2},{n % 2}\n" for n in range(40))


@case("31", "BAD_CSV", "data", place="line 42")
def ragged(folder: Path) -> Path:
    return _csv(folder, "a,b,label\n" + ROWS + "1,2,3,4\n")


@case("31", "BAD_CSV", "data", place="line")
def open_quote(folder: Path) -> Path:
    return _csv(folder, "a,b,label\n" + ROWS + '"1,2,0\n')


@case("31", "BAD_CSV", "data", place="line 1")
def without_rows(folder: Path) -> Path:
    return _csv(folder, "a,b,label\n")


@case("31", "EMPTY", "data")
def empty_table(folder: Path) -> Path:
    return _csv(folder, "")


@case("31", "BAD_CSV", "data", place="line 1")
def utf_16(folder: Path) -> Path:
    return _csv(folder, "a,b,label\n" + ROWS, "utf-16")


@case("31", "BAD_CSV", "data", place="line 3")
def nul_in_a_line(folder: Path) -> Path:
    return _csv(folder, "a,b,label\n1,2,0\n1,\0,0\n" + ROWS)


@case("32", "TOO_LARGE", "data", place="line", limit=True, bomb=True)
def field_of_three_megabytes(folder: Path) -> Path:
    return _csv(folder, "a,b,label\n1," + "1" * 3_000_000 + ",0\n")


@case("32", "TOO_LARGE", "data", limit=True, bomb=True)
def two_hundred_thousand_columns(folder: Path) -> Path:
    return _csv(folder, ",".join(f"c{n}" for n in range(200_000)) + "\n" + ",".join(["1"] * 200_000) + "\n")


@case("+", "TOO_LARGE", "data", limit=True, bomb=True)
def line_of_two_hundred_megabytes(folder: Path) -> Path:
    path = folder / "a.csv"
    with path.open("wb") as file:
        file.write(b"a,b,label\n")
        for _ in range(200):
            file.write(b"1,2,3,4,5,6,7,8," * (MEGABYTE // 16))
    return path


@case("32", "BAD_COLUMN", "data", received="'a'")
def duplicate_header(folder: Path) -> Path:
    return _csv(folder, "a,a,label\n" + ROWS)


@case("32", "BAD_COLUMN", "data", place="sample 41")
def infinite(folder: Path) -> Path:
    return _csv(folder, "a,b,label\n" + ROWS + "1,inf,0\n")


@case("32", "BAD_COLUMN", "data", place="sample 41", received="red")
def text_in_a_number(folder: Path) -> Path:
    return _csv(folder, "a,b,label\n" + ROWS + "1,red,0\n")


def _pair(folder: Path, **arrays: Any) -> Path:
    good.h5(folder / "model.h5")
    np.savez(folder / "data.npz", **arrays)
    return folder


@case("33", "DATA_MODEL_MISMATCH", "pair")
def samples_of_another_shape(folder: Path) -> Path:
    return _pair(folder, x=np.zeros((40, 7), np.float32), y=np.arange(40) % 2)


@case("33", "DATA_MODEL_MISMATCH", "pair")
def labels_outside_the_classes(folder: Path) -> Path:
    return _pair(folder, x=np.zeros((60, 4), np.float32), y=np.arange(60) % 5)


@case("33", "NON_FINITE", "pair", received="sample 17")
def samples_that_are_not_numbers(folder: Path) -> Path:
    x = np.zeros((60, 4), np.float32)
    x[17, 2] = np.nan
    return _pair(folder, x=x, y=np.arange(60) % 2)


@case("+", "UNSAFE_PATH", "data")
def picture_without_a_name(folder: Path) -> Path:
    """zipfile asks for the last letter of every name."""
    return good.with_nameless_member(folder / "a.zip", good.picture_parts())


def _numbered(path: Path, value: str) -> Path:
    path.write_text("a,label\n" + "".join(f"{value if n == 7 else n},{n % 2}\n" for n in range(20)))
    return path


@case("+", "BAD_COLUMN", "data", place="sample 8", received="1_571")
def number_with_an_underscore(folder: Path) -> Path:
    """Python takes it for a number, pandas does not."""
    return _numbered(folder / "a.csv", "1_571")


@case("+", "BAD_COLUMN", "data", place="sample 8", received="99999")
def whole_number_of_hundred_bits(folder: Path) -> Path:
    return _numbered(folder / "a.csv", "9" * 30)


@case("+", "BAD_COLUMN", "data", place="sample 8")
def digits_of_another_script(folder: Path) -> Path:
    return _numbered(folder / "a.csv", "\N{ARABIC-INDIC DIGIT SEVEN}")
