"""A failure of ours shows as one sentence with an id; the traceback goes to the log under the same id."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Iterator
from contextlib import contextmanager

import streamlit as st

from optimizer.errors import OptimizerError
from pages.components.format import literal

log = logging.getLogger("litesmith.web")


def show_error(error: OptimizerError) -> None:
    """Show an expected error as its one line, where the thing was handed over."""
    st.error(literal(error.line, 1500), icon=":material/error:")


@contextmanager
def guarded(place: str) -> Iterator[None]:
    """Draw `place` (a page, a part that refreshes); nothing that goes wrong in it shows a traceback or takes the rest of the page along."""
    try:
        yield
    except OptimizerError as error:
        show_error(error)
    except Exception:
        error_id = secrets.token_hex(4)
        log.exception("error %s in %s", error_id, place)
        st.error(
            f"Something went wrong on our side while drawing this part. Nothing is lost: runs go on, and results are kept. "
            f"Reload the page; if it happens again, report error id {error_id}, which stands in the server's log.",
            icon=":material/error:",
        )
