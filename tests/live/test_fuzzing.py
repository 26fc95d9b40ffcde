"""A few seconds of `benchmarks/fuzz.py --live`: damaged uploads leave the web server, the runner and everything outside as they were."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.live.fuzzing import Fuzzer
from tests.live.product import CANARY, Product

SECONDS = 3.0


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    running = Product(tmp_path_factory.mktemp("live"))
    running.start()
    yield running
    assert running.stop() == []


@pytest.mark.parametrize("name", ["h5", "images"])
def test_damaged_uploads_end_as_typed_errors_or_good_results_and_the_product_lives(
    product: Product, name: str, tmp_path: Path
) -> None:
    report = Fuzzer(product, name, tmp_path, seed=3, keep=tmp_path).run(SECONDS, quick=False)
    assert report.breaches == []
    assert report.live.total() >= 3
    assert report.by_page >= 1


def test_a_touched_canary_and_a_forgotten_folder_are_noticed(product: Product) -> None:
    assert product.breaches() == []
    forgotten = product.home / "work" / "forgotten"
    forgotten.mkdir()
    product.canaries[0].write_text("sung")
    product.breaches()
    noticed = product.breaches()
    forgotten.rmdir()
    product.canaries[0].write_bytes(CANARY)
    assert [words.split()[-2:] for words in noticed] == [["was", "touched"], ["to", "nobody"]]
    assert product.breaches() == []
