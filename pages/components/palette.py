"""Colours of the charts: the colour-blind-safe set of Okabe & Ito (2008), grey for the baseline, one accent for the chosen run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

BASELINE = "#8B949E"
INTERVAL = "rgba(128,137,147,0.85)"
PAGE = {"light": "#FFFFFF", "dark": "#12161B"}
"""The page's own colours, as .streamlit/config.toml has them."""
INK = {"light": "#1D232A", "dark": "#E4E8EC"}
ACCENT = {"light": "#0072B2", "dark": "#4BA6DE"}
SERIES = ("#E69F00", "#009E73", "#CC79A7", "#D55E00", "#B8A000", "#A0522D", "#6A5ACD", "#56B4E9")
SYMBOLS = ("circle", "square", "diamond", "triangle-up", "triangle-down", "hexagon", "star")


def places_in_series(run_ids: Sequence[str], earlier: Mapping[str, int]) -> dict[str, int]:
    """Give each run a place in the series. A run keeps the place it had; a new one gets the lowest that is free."""
    places = {run_id: earlier[run_id] for run_id in run_ids if run_id in earlier}
    taken = set(places.values())
    for run_id in run_ids:
        if run_id not in places:
            place = next(number for number in range(len(run_ids) + len(taken) + 1) if number not in taken)
            places[run_id] = place
            taken.add(place)
    return places


def colour(place: int) -> str:
    """The colour at a place in the series."""
    return SERIES[place % len(SERIES)]


def symbol(place: int) -> str:
    """The marker at a place in the series; it changes where the colours start again."""
    return SYMBOLS[place // len(SERIES) % len(SYMBOLS)]


def dot_styles() -> str:
    """CSS that puts a run's colour before its name in a table: containers whose key begins with "series-<place>-"."""
    rules = [_dot(f"series-{place}-", hue) for place, hue in enumerate(SERIES)]
    rules += [_dot("series-baseline-", BASELINE), _dot("series-light-", ACCENT["light"]), _dot("series-dark-", ACCENT["dark"])]
    return f"<style>{''.join(rules)}</style>"


def _dot(key: str, hue: str) -> str:
    shape = 'content:"";display:inline-block;width:.62em;height:.62em;border-radius:50%;margin-right:.5em'
    return f'[class*="st-key-{key}"] p::before{{{shape};background:{hue}}}'


VERDICTS = {
    "works": "rgba(0, 114, 178, 0.16)",
    "left as it is": "rgba(128, 128, 128, 0.14)",
    "impossible": "rgba(213, 94, 0, 0.28)",
}
"""Backgrounds of the grid of layers and techniques, on light and dark."""
