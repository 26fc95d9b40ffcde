"""The one place where names of techniques and settings become words for people: "post-training quantization"."""

from __future__ import annotations

import re

_PREFIXES = re.compile(r"\b(post|pre|non)_(?=[a-z])")
_SUFFIXES = re.compile(r"_(aware|based|free|label|wise)(?=_|\b)")


def in_words(name: str) -> str:
    """A name in words, e.g. "quantization-aware training" of quantization_aware_training; other texts come back as they are."""
    return _SUFFIXES.sub(r"-\1", _PREFIXES.sub(r"\1-", name)).replace("_", " ")


def title(name: str) -> str:
    """The same with a capital: "Quantization-aware training"."""
    words = in_words(name)
    return words[:1].upper() + words[1:]
