"""Tables (.csv): one line a sample, one column a feature, one of them the label."""

from __future__ import annotations

import csv
import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from optimizer.errors import InputError, printable
from optimizer.sources.dataset import Array
from optimizer.sources.readers.parts import MAX_SAMPLES, Parts, in_megabytes

if TYPE_CHECKING:
    import pandas

MAX_FILE_BYTES = 512 * 1024**2
MAX_COLUMNS = 10_000
MAX_FIELD_CHARACTERS = 65_536
MAX_LINE_BYTES = 4 * 1024**2
DELIMITERS = (",", ";", "\t")
LABEL_NAMES = ("label", "target", "class", "y")
NO_LABEL = "none"
"""Name to give as the label column of a table without labels."""


def read_csv(path: Path, name: str, label: str) -> Parts:
    """Read a table.

    Args:
        path: The file: UTF-8, the first line names the columns; separated by comma, semicolon or tab.
        name: What the person calls it.
        label: The label column; empty to look for label, target, class or y; "none" for a table without labels.

    Raises:
        InputError: BAD_CSV with the line, BAD_COLUMN, NO_LABEL_COLUMN, TOO_LARGE, TOO_MANY.
    """
    if path.stat().st_size > MAX_FILE_BYTES:
        raise _too_large(name, in_megabytes(path.stat().st_size), in_megabytes(MAX_FILE_BYTES))
    columns, delimiter = _check_text(path, name)
    label_column = _label_column(columns, label, name)
    frame = _read_frame(path, delimiter)
    notes = []
    if columns[0] == "" or columns[0].startswith("Unnamed: "):
        frame = frame.iloc[:, 1:]
        columns = columns[1:]
        notes.append("The first column has no name; it was taken for a row number and left out.")
    frame.columns = columns
    y = None if label_column is None else _labels(frame[label_column], label_column, name)
    features = frame if label_column is None else frame.drop(columns=label_column)
    if label_column is not None:
        notes.append(f"The label is the column {printable(label_column, 60)!r}.")
    x = _features(features, name)
    return Parts(x=x, y=y, kind="table", floats_are_values=True, notes=tuple(notes))


def _bad(what: str, name: str, line: int, **more: str) -> InputError:
    return InputError(what, code="BAD_CSV", place=f"{name}, line {line}", **more)


def _too_large(place: str, received: str, limit: str) -> InputError:
    return InputError("The table is too large", code="TOO_LARGE", place=place, received=received, limit=limit)


@contextmanager
def _field_limit() -> Iterator[None]:
    before = csv.field_size_limit(MAX_FIELD_CHARACTERS)
    try:
        yield
    finally:
        csv.field_size_limit(before)


def _check_text(path: Path, name: str) -> tuple[list[str], str]:
    """Read the whole file once, strictly: (column names, delimiter). Raises InputError with the line at fault."""
    with path.open("rb") as file:
        head = file.read(4)
    if head[:2] in (b"\xff\xfe", b"\xfe\xff") or b"\0" in head:
        fix = "Save it as UTF-8."
        raise _bad("The file is UTF-16 or binary, not UTF-8 text", name, 1, fix=fix)
    with path.open("rb") as file, _field_limit():
        first = file.readline(MAX_COLUMNS * 100).decode("utf-8", "replace")
        delimiter = max(DELIMITERS, key=first.count)
        file.seek(0)
        reader = csv.reader(_lines(file, name), delimiter=delimiter, strict=True)
        try:
            return _check_rows(reader, name), delimiter
        except csv.Error as error:
            if "field larger" in str(error):
                raise _too_large(
                    f"{name}, line {reader.line_num}", "a longer field", f"{MAX_FIELD_CHARACTERS:,} characters"
                ) from error
            what = "A quoted field does not end" if "end of data" in str(error) else "The line is not valid CSV"
            raise _bad(what, name, reader.line_num, received=str(error)) from error


def _lines(file: IO[bytes], name: str) -> Iterator[str]:
    """Lines as text, without the byte order mark that spreadsheets put in front."""
    for number in itertools.count(1):
        line = file.readline(MAX_LINE_BYTES + 1)
        if not line:
            return
        if len(line) > MAX_LINE_BYTES:
            raise _too_large(f"{name}, line {number}", "a longer line", f"{MAX_LINE_BYTES:,} bytes")
        if b"\0" in line:
            raise _bad("The line holds a NUL character", name, number)
        try:
            yield line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            raise _bad("The text is not UTF-8", name, number, fix="Save it as UTF-8.") from error


def _check_rows(reader: Any, name: str) -> list[str]:
    columns: list[str] = []
    rows = 0
    for row in reader:
        if not row:
            continue
        if not columns:
            columns = _checked_columns([cell.strip() for cell in row], name)
            continue
        rows += 1
        if len(row) != len(columns):
            expected, received = f"{len(columns)} fields, as in the first line", str(len(row))
            raise _bad("The line has another number of fields", name, reader.line_num, expected=expected, received=received)
        if rows > MAX_SAMPLES:
            raise InputError("The table has too many lines", code="TOO_MANY", place=name, limit=f"{MAX_SAMPLES:,}")
    if not columns or rows == 0:
        raise _bad("The table has no samples", name, 1, expected="a line of column names and a line a sample")
    return columns


def _checked_columns(columns: list[str], name: str) -> list[str]:
    if len(columns) > MAX_COLUMNS:
        raise _too_large(name, f"{len(columns):,} columns", f"{MAX_COLUMNS:,}")
    if all(_is_number(column) for column in columns):
        fix = "Add a first line such as: label,feature1,feature2."
        raise _bad("The first line holds numbers in place of column names", name, 1, fix=fix)
    seen: set[str] = set()
    for column in columns:
        if column in seen:
            raise InputError("Two columns have one name", code="BAD_COLUMN", place=name, received=repr(column))
        seen.add(column)
    return columns


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _label_column(columns: list[str], label: str, name: str) -> str | None:
    """The label column's name as the file spells it; None for a table without labels. Raises InputError NO_LABEL_COLUMN."""
    if label in columns and label:
        return label
    if label == NO_LABEL:
        return None
    by_lower = {column.lower(): column for column in reversed(columns)}
    for wanted in (label.lower(),) if label else LABEL_NAMES:
        if wanted in by_lower:
            return by_lower[wanted]
    raise InputError(
        f"There is no column {printable(repr(label), 80)}" if label else "There is no label column",
        code="NO_LABEL_COLUMN",
        place=name,
        expected="a column named " + (printable(label, 80) if label else ", ".join(LABEL_NAMES)),
        received=", ".join(printable(column, 40) for column in columns[:20]) + (", ..." if len(columns) > 20 else ""),
        fix=f"Name the label column with `--label NAME` (`--label {NO_LABEL}` where there are no labels).",
    )


def _read_frame(path: Path, delimiter: str) -> pandas.DataFrame:
    import pandas

    with path.open("rb") as file:
        # A file object and compression=None: pandas must never guess that a name means "unpack me" or "download me".
        return pandas.read_csv(
            file,
            sep=delimiter,
            header=0,
            compression=None,
            encoding="utf-8-sig",
            keep_default_na=False,
            na_filter=False,
            low_memory=False,
            index_col=False,
            skipinitialspace=True,
        )


def _labels(column: Any, label: str, name: str) -> Array:
    values = column.to_numpy()
    if values.dtype.kind in "biuf":
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            raise _bad_cell(f"The label column {label!r} holds an infinite value", name, int(np.argmin(np.isfinite(values))))
        return np.asarray(values)
    texts = np.asarray([str(value).strip() for value in values])
    if (texts == "").any():
        raise _bad_cell(f"The label column {label!r} has an empty cell", name, int(np.argmax(texts == "")))
    return texts


def _bad_cell(what: str, name: str, row: int, received: str = "", fix: str = "") -> InputError:
    return InputError(what, code="BAD_COLUMN", place=f"{name}, sample {row + 1}", received=received, fix=fix)


def _features(frame: pandas.DataFrame, name: str) -> Array:
    """All feature columns as one array (n, columns): uint8 or int64 where all are whole, float32 otherwise."""
    if frame.shape[1] == 0:
        raise InputError("The table has a label column and nothing else", code="BAD_COLUMN", place=name)
    for column, kind in zip(frame.columns, frame.dtypes, strict=True):
        if kind.kind not in "biuf":
            raise _not_a_number(frame[column], str(column), name)
    fits = (kind.kind in "bi" or (kind.kind == "u" and frame[column].max() < 2**63) for column, kind in frame.dtypes.items())
    if all(fits):
        whole: Array = frame.to_numpy(dtype=np.int64)
        return whole.astype(np.uint8) if whole.min() >= 0 and whole.max() <= 255 else whole
    with np.errstate(over="ignore"):
        values: Array = frame.to_numpy(dtype=np.float64).astype(np.float32)
    if not np.isfinite(values).all():
        row, number = (int(n) for n in np.argwhere(~np.isfinite(values))[0])
        raise _bad_cell(f"Column {str(frame.columns[number])!r} holds an infinite value", name, row)
    return values


def _not_a_number(column: Any, label: str, name: str) -> InputError:
    texts = [str(value) for value in column]
    row = next((row for row, text in enumerate(texts) if not _is_finite_number(text)), None)
    if row is None:  # Numbers all, but not to pandas: whole ones beyond 64 bits.
        row = max(range(len(texts)), key=lambda number: abs(float(texts[number])))
        what = f"Column {label!r} holds a whole number that is too large"
        return _bad_cell(what, name, row, received=printable(texts[row], 60), fix="Write it with a decimal point.")
    text = texts[row]
    if text.strip() == "" or text.strip().lower() in ("nan", "na", "n/a", "null", "none", "?"):
        return _bad_cell(
            f"Column {label!r} has a missing value", name, row, fix="Fill or drop such samples as it was done for training."
        )
    fix = "Encode text as numbers in the way it was done for training, or name the label column with `--label NAME`."
    return _bad_cell(f"Column {label!r} holds text", name, row, received=printable(repr(text), 60), fix=fix)


def _is_finite_number(text: str) -> bool:
    """Python takes 1_000 and the digits of other scripts for numbers, pandas does not."""
    return text.isascii() and "_" not in text and _is_number(text) and bool(np.isfinite(float(text)))
