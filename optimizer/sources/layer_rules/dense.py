"""Fully connected layers and embeddings."""

from __future__ import annotations

from typing import Any

from optimizer.sources.layer_rules.facts import (
    UNKNOWN,
    Config,
    ConfigError,
    LayerCall,
    LayerFacts,
    flag,
    known,
    plain,
    product,
    rule,
    times,
    whole,
)


@rule("Dense")
def dense(config: Config, call: LayerCall) -> LayerFacts:
    """(batch, ..., in) -> (batch, ..., units)."""
    units, features = whole(config, "units"), known(call.shape[-1])
    weights: dict[str, tuple[int, ...]] = {"kernel": (features, units)}
    if flag(config, "use_bias", True):
        weights["bias"] = (units,)
    macs = times(product(call.shape[1:-1]), features, units)
    return plain((*call.shape[:-1], units), macs=macs, weights=weights)


@rule("Embedding")
def embedding(config: Config, call: LayerCall) -> LayerFacts:
    """(batch, ...) whole numbers -> (batch, ..., output_dim); a look-up, no multiplications."""
    rows, columns = whole(config, "input_dim"), whole(config, "output_dim")
    return plain((*call.shape, columns), weights={"embeddings": (rows, columns)})


@rule("EinsumDense")
def einsum_dense(config: Config, call: LayerCall) -> LayerFacts:
    """A dense layer written as "ab,bc->ac". An ellipsis at either end stands for axes that keep their lengths."""
    equation, output = config.get("equation"), config.get("output_shape")
    if not isinstance(equation, str) or not isinstance(output, int | list | tuple):
        return UNKNOWN
    equation, elided = _spelled_out(equation.replace(" ", ""), len(call.shape))
    left, _, result = equation.partition("->")
    source, _, kernel = left.partition(",")
    if len(source) != len(call.shape) or len(set(source)) < len(source) or not set(kernel) <= set(source) | set(result):
        return UNKNOWN
    sizes = dict(zip(source, call.shape, strict=True))
    given: list[Any] = [output] if isinstance(output, int) else list(output)
    # The setting leaves out the batch axis and what the ellipsis stands for.
    for position, letter in enumerate(result[1:]):
        if letter in elided:
            given.insert(position, None)
    if len(given) != len(result) - 1:
        return UNKNOWN
    for letter, length in zip(result[1:], given, strict=True):
        if length is not None and (not isinstance(length, int) or length < 1):
            raise ConfigError("output_shape", "whole numbers of at least 1", output)
        sizes[letter] = sizes.get(letter) if length is None else length
    bias = config.get("bias_axes")
    weights = {"kernel": tuple(known(sizes[letter]) for letter in kernel)}
    if isinstance(bias, str) and bias:
        if not set(bias) <= set(result):
            raise ConfigError("bias_axes", f"letters of {result}", bias)
        first = min(result.index(letter) for letter in bias)
        weights["bias"] = tuple(known(sizes[letter]) if letter in bias else 1 for letter in result[first:])
    letters = sorted((set(source) | set(kernel)) - {result[0]})
    macs = times(*(sizes[letter] for letter in letters))
    return plain((call.shape[0], *(sizes[letter] for letter in result[1:])), macs=macs, weights=weights)


def _spelled_out(equation: str, rank: int) -> tuple[str, str]:
    """The equation with letters in place of the ellipsis, for an input of `rank` axes, and these letters."""
    source = equation.partition(",")[0]
    if "..." not in source:
        return equation, ""
    letters = "".join(
        chr(ord("A") + n) for n in range(min(max(rank - len(source) + 3, 0), 26)) if chr(ord("A") + n) not in equation
    )
    return equation.replace("...", letters), letters
