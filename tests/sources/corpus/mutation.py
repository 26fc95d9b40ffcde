"""Ways to damage a file that reach behind its checksums: bytes, numbers, pieces, and the insides of archives."""

from __future__ import annotations

import io
import random
import struct
import zipfile

ODD_NUMBERS = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 2**63 - 1, 2**64 - 1)


def mutated(data: bytes, chance: random.Random, name: str) -> bytes:
    """One damaged copy. Members of an archive are damaged and packed again half of the time, so that their checksums agree."""
    if name.endswith((".zip", ".keras", ".npz")) and chance.random() < 0.7:
        return _inside(data, chance)
    return _bytes(data, chance)


def _inside(data: bytes, chance: random.Random) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as source, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        members = source.namelist()
        damaged = chance.choice(members)
        for member in members:
            content = source.read(member)
            archive.writestr(member, _bytes(content, chance) if member == damaged else content)
    return target.getvalue()


def _bytes(data: bytes, chance: random.Random) -> bytes:
    found = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 4, 16))):
        if not found:
            break
        start, kind = chance.randrange(len(found)), chance.random()
        if kind < 0.4:
            found[start] = chance.randrange(256)
        elif kind < 0.6:
            found[start] ^= 1 << chance.randrange(8)
        elif kind < 0.8:
            size = chance.choice((2, 4, 8))
            number = chance.choice(ODD_NUMBERS) % 256**size
            piece = number.to_bytes(size, chance.choice(("little", "big")))
            found[start : start + size] = piece[: max(0, len(found) - start)]
        elif kind < 0.88:
            stop = min(len(found), start + chance.randrange(1, 64))
            other = chance.randrange(len(found))
            found[other:other] = found[start:stop]
        elif kind < 0.95:
            del found[start : start + chance.randrange(1, 64)]
        elif len(found) >= 8:
            (value,) = struct.unpack_from("<I", found, min(start, len(found) - 4))
            struct.pack_into("<I", found, min(start, len(found) - 4), (value + chance.choice((-4, -1, 1, 4))) % 2**32)
    return bytes(found) if chance.random() < 0.93 else bytes(found[: chance.randrange(len(found) + 1)])
