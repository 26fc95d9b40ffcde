"""Damage good files of every format for a given time; each must be read or refused in one line, whatever the bytes.

    python benchmarks/fuzz.py [--live] [--seconds 600] [--formats h5,keras,...] [--seed 0] [--keep DIR]

`--seconds` is the time for each format. The files are parsed in a child process with limits on memory and time: libhdf5 can crash or loop
on damaged bytes, and what then ends is the child alone (in the product: the sandboxed worker, with CRASHED or TIMED_OUT). Counts by
outcome are printed; exit status 1 where an exception escaped, or a file outside the work folder changed.

With `--live` the whole product runs (web server, runner, warm sandboxed workers, on a home of its own), and damaged files go the way of an
upload: through the store's request, and every few seconds one through the page itself, by HTTP. A worker reads one file and ends, so this is
one or two files a second; the plain child reads others beside it, and the share of each is printed. Every five seconds: same pids of web and
runner, health, `PRAGMA integrity_check`, canaries, work folders, memory, and the page drawn anew. At the end nothing may be left of any worker.
Exit status 1 on any breach.
"""

from __future__ import annotations

import argparse
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests" / "sources" / "corpus"), str(ROOT)]

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


def fuzz_live(formats: list[str], seconds: float, seed: int, folder: Path, keep: Path | None) -> bool:
    """One product for all formats. Returns whether anything was breached."""
    from tests.live.fuzzing import Fuzzer
    from tests.live.product import Product

    # A killed fuzzer would leave its server, runner and canaries behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    product = Product(folder)
    product.start()
    failed = False
    try:
        for name in formats:
            quick_folder = folder / name
            quick_folder.mkdir()
            report = Fuzzer(product, name, quick_folder, seed=seed, keep=keep).run(seconds)
            failed |= bool(report.breaches)
            print("\n".join(report.lines(name)), flush=True)
            if not (product.runner.is_alive and product.web.is_alive):
                break
    finally:
        if keep is not None:
            for log in ("web", "runner"):
                (keep / f"{log}.log").write_text(product.log(log))
        left = product.stop()
    print("left at the end: " + ("; ".join(left) or "no process, no work folder"), flush=True)
    return failed or bool(left)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=600.0, help="time for each format")
    parser.add_argument("--formats", default=",".join(GOOD))
    parser.add_argument("--live", action="store_true", help="against the running product")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="folder for files that crashed, hung or escaped")
    options = parser.parse_args()
    if options.keep is not None:
        options.keep.mkdir(parents=True, exist_ok=True)
    failed = False
    with tempfile.TemporaryDirectory() as name:
        if options.live:
            return int(fuzz_live(options.formats.split(","), options.seconds, options.seed, Path(name), options.keep))
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
