"""Names in words, as the field writes them."""

from __future__ import annotations

import pytest

from optimizer.technique import registry
from optimizer.titles import in_words, title


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("post_training_quantization", "Post-training quantization"),
        ("quantization_aware_training", "Quantization-aware training"),
        ("magnitude_pruning", "Magnitude pruning"),
        ("multi_label", "Multi-label"),
        ("final_sparsity", "Final sparsity"),
        ("Load the model", "Load the model"),
        ("", ""),
    ],
)
def test_a_name_becomes_a_title(name: str, words: str) -> None:
    assert title(name) == words


def test_no_technique_keeps_an_underscore() -> None:
    assert not any("_" in in_words(name) for name in registry())
