"""Damage good files of every format for a given time; each must be read or refused in one line, whatever the bytes.

    python benchmarks/fuzz.py [--seconds 600] [--formats h5,keras,...] [--seed 0] [--keep DIR]

`--seconds` is the time for each format. The files are parsed in a child process with limits on memory and time: libhdf5 can crash or loop
on damaged bytes, and what then ends is the child alone (in the product: the sandboxed worker, with CRASHED or TIMED_OUT). Counts by
outcome are printed; exit status 1 where an exception escaped, or a file outside the work folder changed.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "sources" / "corpus"))

from good_files import GOOD  # noqa: E402
from mutation import mutated  # noqa: E402
from reader_process import Answer, ReaderProcess  # noqa: E402

TIMEOUT_SECONDS = 10.0
CANARY = b"untouched"


def fuzz(name: str, seconds: float, seed: int, folder: Path, keep: Path | None) -> Counter[str]:
    """Outcomes of one format: "read", the error's code, "ESCAPED", "CRASHED" or "TIMED_OUT"."""
    kind, file_name, make = GOOD[name]
    good = make(folder / file_name).read_bytes()
    path, chance = folder / f"fuzz{Path(file_name).suffix}", random.Random(seed)  # noqa: S311 - reproducible, not secret
    reader, counts = ReaderProcess(folder), Counter[str]()
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        path.write_bytes(mutated(good, chance, file_name))
        answer: Answer = reader.read(path, kind, timeout=TIMEOUT_SECONDS)
        counts[answer.code] += 1
        if answer.outcome in ("escaped", "crashed", "timed out"):
            if keep is not None:
                (keep / f"{name}-{answer.code}-{counts[answer.code]}{path.suffix}").write_bytes(path.read_bytes())
            if answer.outcome == "escaped":
                print(answer.detail, file=sys.stderr)
    reader.close()
    return counts


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=600.0, help="time for each format")
    parser.add_argument("--formats", default=",".join(GOOD))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="folder for files that crashed, hung or escaped")
    options = parser.parse_args()
    if options.keep is not None:
        options.keep.mkdir(parents=True, exist_ok=True)
    failed = False
    with tempfile.TemporaryDirectory() as name:
        canary = Path(name) / "canary"
        canary.write_bytes(CANARY)
        for format_name in options.formats.split(","):
            folder = Path(name) / format_name
            folder.mkdir()
            counts = fuzz(format_name, options.seconds, options.seed, folder, options.keep)
            failed |= counts["ESCAPED"] > 0 or canary.read_bytes() != CANARY
            summary = ", ".join(f"{code} {count:,}" for code, count in counts.most_common())
            print(f"{format_name}: {counts.total():,} files: {summary}", flush=True)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
