"""Every model of tests/zoo.py through every recipe of tests/cells.py: does it end in a .tflite that agrees with the optimized Keras model?

    python benchmarks/zoo_matrix.py [--models 'nested*'] [--recipes 'int8*']

One line a cell: the relative difference, promises that could not be checked, notes; then the share of cells that hold.
"""

from __future__ import annotations

import argparse
import fnmatch
import os
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]
os.environ["TF_USE_LEGACY_KERAS"] = "1"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", default="*")
    parser.add_argument("--recipes", default="*")
    options = parser.parse_args()
    import zoo
    from cells import RECIPES, TOLERANCE, Member

    held = count = 0
    for name in fnmatch.filter(zoo.MODELS, options.models):
        with tempfile.TemporaryDirectory() as folder:
            member = Member(name, Path(folder))
            for recipe in fnmatch.filter(RECIPES, options.recipes):
                started = time.monotonic()
                count += 1
                try:
                    cell = member.cell(recipe)
                except Exception as error:  # noqa: BLE001 - whatever comes out is the cell's result
                    print(f"{name:38} {recipe:16} RAISES {type(error).__name__}: {error}"[:400], flush=True)
                    continue
                agrees = cell.difference <= TOLERANCE[recipe]
                held += agrees
                words = "agrees" if agrees else "DIFFERS"
                seconds = time.monotonic() - started
                print(f"{name:38} {recipe:16} {words} {cell.difference:.4f} {seconds:5.1f} s {'; '.join(cell.notes)}", flush=True)
    print(f"{held} of {count} cells hold")
    return 0 if held == count else 1


if __name__ == "__main__":
    sys.exit(main())
