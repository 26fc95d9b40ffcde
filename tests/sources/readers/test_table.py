"""Tables: what is read, and what is refused with its line or column."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from optimizer.errors import InputError
from optimizer.sources.dataset import Dataset


def table(tmp_path: Path, text: str, encoding: Any = "utf-8") -> Any:
    path = tmp_path / "table.csv"
    path.write_bytes(text.encode(encoding))
    return path


def rows(line: Any = "{n},{n}.5,{k}", header: Any = "a,b,label", count: Any = 40) -> Any:
    return header + "\n" + "".join(line.format(n=n, k=n % 2) + "\n" for n in range(count))


def test_features_and_label_are_told_apart(tmp_path: Path, read_data: Callable[..., Dataset]) -> None:
    dataset = read_data(table(tmp_path, rows()))
    assert dataset.kind == "table"
    assert dataset.labels == "class"
    assert dataset.train.x.dtype == np.float32
    assert dataset.train.x.shape[1] == 2
    np.testing.assert_array_equal(dataset.train.x[:, 0].astype(int) % 2, dataset.train.y)
    assert any("'label'" in note for note in dataset.notes)


@pytest.mark.parametrize("header", ["a,b,Label", "a,b,TARGET", "a,b,class", "a,b,y"])
def test_usual_names_of_the_label_are_found(tmp_path: Path, read_data: Callable[..., Dataset], header: Any) -> None:
    assert read_data(table(tmp_path, rows(header=header))).labels == "class"


def test_a_label_column_of_any_name(tmp_path: Path, read_data: Callable[..., Dataset]) -> None:
    path = table(tmp_path, rows(header="a,b,species"))
    assert read_data(path, label="species").labels == "class"
    assert read_data(path, label="Species").labels == "class"
    assert read_data(path, label="none").labels == "none"


def test_a_missing_label_column_lists_the_columns_and_the_option(tmp_path: Path, refused_data: Callable[..., InputError]) -> None:
    error = refused_data(table(tmp_path, rows(header="a,b,c")), "NO_LABEL_COLUMN")
    assert error.received == "a, b, c"
    assert "--label" in error.fix
    assert "'size'" in refused_data(table(tmp_path, rows()), "NO_LABEL_COLUMN", label="size").what


def test_text_labels_become_classes_in_sorted_order(tmp_path: Path, read_data: Callable[..., Dataset]) -> None:
    text = "a,label\n" + "".join(f"{n},{'zebra' if n % 3 else 'ant'}\n" for n in range(60))
    dataset = read_data(table(tmp_path, text))
    assert dataset.class_names == ("ant", "zebra")
    np.testing.assert_array_equal(dataset.test.x[:, 0] % 3 != 0, dataset.test.y)


def test_fractional_labels_are_values(tmp_path: Path, read_data: Callable[..., Dataset]) -> None:
    dataset = read_data(table(tmp_path, rows(line="{n},1,{n}.25")))
    assert dataset.labels == "value"
    assert dataset.train.y.dtype == np.float32


def test_semicolons_quotes_row_numbers_and_a_byte_order_mark(tmp_path: Path, read_data: Callable[..., Dataset]) -> None:
    assert read_data(table(tmp_path, rows().replace(",", ";"))).train.x.shape[1] == 2
    text = ",a,label\n" + "".join(f'{n},{n},"x, {n % 2}"\n' for n in range(30))
    dataset = read_data(table(tmp_path, text, encoding="utf-8-sig"))
    assert dataset.train.x.shape[1] == 1
    assert dataset.class_names == ("x, 0", "x, 1")
    assert any("no name" in note for note in dataset.notes)


def test_pixels_stay_bytes(tmp_path: Path, read_data: Callable[..., Dataset]) -> None:
    assert read_data(table(tmp_path, rows(line="{n},255,{k}"))).train.x.dtype == np.uint8


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a,b,label\n1,2,0\n1,2\n", 3),
        ("a,b,label\n1,2,0\n1,2,0,9\n", 3),
        ('a,b,label\n1,2,0\n"1,2,0\n3,4,1\n', 4),
        ('a,b,label\n1,2,0\n1,"2"x,0\n', 3),
        ("a,b,label\n1,2,0\n1,\0,0\n", 3),
        ("a,b,label\n", 1),
        ("\n\n", 1),
        ("1,2,0\n3,4,1\n", 1),
    ],
)
def test_text_that_is_no_table_names_the_line(
    tmp_path: Path, refused_data: Callable[..., InputError], text: str, line: Any
) -> None:
    place = refused_data(table(tmp_path, text), "BAD_CSV").place
    assert place in (f"table.csv, line {line}", "table.csv, line 1")


def test_other_encodings(tmp_path: Path, refused_data: Callable[..., InputError]) -> None:
    assert "UTF-8" in refused_data(table(tmp_path, rows(), encoding="utf-16"), "BAD_CSV").fix
    path = tmp_path / "table.csv"
    path.write_bytes(b"a,label\n1,0\n2,\xff\xfe\n")
    refused_data(path, "BAD_CSV")
    path.write_bytes(b"")
    refused_data(path, "EMPTY")


@pytest.mark.parametrize("cell", ["red", "", "nan", "inf", "-inf", "1e999"])
def test_a_cell_that_is_no_number_names_column_and_sample(
    tmp_path: Path, refused_data: Callable[..., InputError], cell: Any
) -> None:
    text = rows().replace("7,7.5,", f"7,{cell},", 1)
    error = refused_data(table(tmp_path, text), "BAD_COLUMN")
    assert "'b'" in error.what
    assert "sample 8" in error.place


def test_labels_with_gaps(tmp_path: Path, refused_data: Callable[..., InputError]) -> None:
    text = "a,label\n" + "".join(f"{n},{'x' if n else ''}\n" for n in range(30))
    refused_data(table(tmp_path, text), "BAD_COLUMN")


def test_columns_of_one_name(tmp_path: Path, refused_data: Callable[..., InputError]) -> None:
    refused_data(table(tmp_path, rows(header="a,a,label")), "BAD_COLUMN")


def test_tables_that_are_too_large(tmp_path: Path, refused_data: Callable[..., InputError]) -> None:
    refused_data(table(tmp_path, "a,label\n" + "1" * 3_000_000 + ",0\n"), "TOO_LARGE")
    refused_data(table(tmp_path, ",".join(f"c{n}" for n in range(200_000)) + "\n"), "TOO_LARGE")


def test_a_table_of_labels_only(tmp_path: Path, refused_data: Callable[..., InputError]) -> None:
    refused_data(table(tmp_path, "label\n" + "1\n0\n" * 20), "BAD_COLUMN")


def test_a_second_table_for_the_test_split(tmp_path: Path, read_data: Callable[..., Dataset]) -> None:
    train = table(tmp_path, "a,label\n" + "".join(f"{n},{'cat' if n % 2 else 'dog'}\n" for n in range(40)))
    test = tmp_path / "test.csv"
    test.write_text("a,label\n1,dog\n2,dog\n3,cat\n")
    dataset = read_data(train, test_path=test)
    assert dataset.class_names == ("cat", "dog")
    assert dataset.test.y.tolist() == [1, 1, 0]


def test_a_whole_number_beyond_64_bits_with_a_sign_keeps_its_size(tmp_path: Path, read_data: Callable[..., Dataset]) -> None:
    path = tmp_path / "a.csv"
    path.write_text("a,label\n" + "".join(f"{2**63 + 2**40},{n % 2}\n" for n in range(20)))
    assert read_data(path).train.x.min() == np.float32(2**63 + 2**40)
