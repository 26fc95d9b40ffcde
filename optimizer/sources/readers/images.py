"""Images: a .zip with one folder a class."""

from __future__ import annotations

import io
import warnings
import zipfile
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

import numpy as np

from optimizer.errors import InputError
from optimizer.sources.damage import ZIP_DAMAGE
from optimizer.sources.dataset import Array
from optimizer.sources.readers.parts import MAX_DATA_BYTES, Parts, in_megabytes
from optimizer.sources.readers.zip_members import checked_members, read_member

FORMATS = ("PNG", "JPEG", "BMP", "WEBP")
EXTENSIONS = (".png", ".jpg", ".jpeg", ".bmp", ".webp")
MAX_PIXELS = 25_000_000
SPLIT_FOLDERS = {"train": "train", "training": "train", "val": "train", "valid": "train", "validation": "train", "test": "test"}
GREY_MODES = ("1", "L", "LA")
LAYOUT = "one folder a class, e.g. cats/1.png and dogs/1.png"


@dataclass(frozen=True, kw_only=True)
class Picture:
    """Where one image belongs: its split ("train" or "test"), its class ("" without one) and its member of the archive."""

    split: str
    class_name: str
    member: zipfile.ZipInfo


def read_image_folders(path: Path, name: str) -> Parts:
    """Read a zip of one folder a class; folders train and test above the classes, or one wrapping folder, are understood.

    The result is uint8 (n, height, width, 1 or 3). Images of another size than the most common one are resized to it.

    Raises:
        InputError: BAD_ZIP, EMPTY_ZIP, TOO_FEW_SAMPLES, BAD_IMAGE, IMAGE_TOO_LARGE, TOO_LARGE, and those of zip_members.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = checked_members(archive, name)
            pictures, notes = _sorted_pictures(members, name)
            arrays = _decode_all(archive, pictures, name)
    except InputError:
        raise
    except ZIP_DAMAGE as error:
        raise InputError("The zip archive is damaged", code="BAD_ZIP", place=name, received=str(error)) from error
    x, resized = _one_size(arrays)
    notes += resized
    classes = sorted({picture.class_name for picture in pictures})
    numbers = np.asarray([classes.index(picture.class_name) for picture in pictures], dtype=np.int64)
    in_test = np.asarray([picture.split == "test" for picture in pictures])
    labelled = len(classes) > 1
    if not labelled:
        notes.append("All images lie in one folder, so they have no labels.")
    parts = Parts(x=x[~in_test], y=numbers[~in_test] if labelled else None, kind="images", notes=tuple(notes))
    if in_test.any():
        parts = replace(parts, x_test=x[in_test], y_test=numbers[in_test] if labelled else None)
    return replace(parts, class_names=tuple(classes) if labelled else ())


def _sorted_pictures(members: list[zipfile.ZipInfo], name: str) -> tuple[list[Picture], list[str]]:
    """Pictures by split, class and name. Raises InputError."""
    images = [member for member in members if PurePosixPath(member.filename).suffix.lower() in EXTENSIONS]
    if not images:
        raise InputError(
            "The archive holds no images",
            code="EMPTY_ZIP",
            place=name,
            expected=f"{LAYOUT}; {', '.join(FORMATS)}",
            received=_names(members),
        )
    notes = [f"{len(members) - len(images)} files that are no images were left out."] if len(images) < len(members) else []
    paths = {member.filename: list(PurePosixPath(member.filename).parts) for member in images}
    # One folder around everything, as file managers make it. A single folder that holds the images themselves stays.
    while len({parts[0] for parts in paths.values()}) == 1 and min(len(parts) for parts in paths.values()) > 2:
        paths = {filename: parts[1:] for filename, parts in paths.items()}
    by_split = _has_split_folders(list(paths.values()))
    pictures = []
    for member in images:
        parts = paths[member.filename]
        split = SPLIT_FOLDERS[parts[0].lower()] if by_split else "train"
        folders = parts[1:-1] if by_split else parts[:-1]
        pictures.append(Picture(split=split, class_name=folders[0] if folders else "", member=member))
    _check_classes(pictures, name)
    if by_split:
        notes.append("The folders train and test were taken as the splits.")
    return sorted(pictures, key=lambda p: (p.split, p.class_name, p.member.filename)), notes


def _has_split_folders(paths: list[list[str]]) -> bool:
    tops = {parts[0].lower() for parts in paths}
    return tops <= set(SPLIT_FOLDERS) and "test" in tops and len(tops) > 1 and min(len(parts) for parts in paths) > 2


def _check_classes(pictures: list[Picture], name: str) -> None:
    counts = Counter(picture.class_name for picture in pictures if picture.split == "train")
    tested = {picture.class_name for picture in pictures} - set(counts)
    if tested or ("" in counts and len(counts) > 1):
        received = f"test images of {min(tested)!r} only" if tested else "images beside the folders"
        raise InputError(
            "The folders do not tell the class of every image", code="BAD_ZIP", place=name, expected=LAYOUT, received=received
        )
    for class_name, count in sorted(counts.items()):
        if count < 2 and len(counts) > 1:
            raise InputError(
                "A class folder holds too few images",
                code="TOO_FEW_SAMPLES",
                place=f"{name}, folder {class_name}",
                expected="at least 2 images, better 20 and more",
                received=str(count),
                fix="Add images to the folder, or take it out.",
            )


def _names(members: list[zipfile.ZipInfo]) -> str:
    return ", ".join(member.filename for member in members[:5]) or "no files"


def _decode_all(archive: zipfile.ZipFile, pictures: list[Picture], name: str) -> list[Array]:
    arrays: list[Array] = []
    total = 0
    for picture in pictures:
        array = _decode(read_member(archive, picture.member, name), f"{name}, {picture.member.filename}")
        total += array.nbytes
        if total > MAX_DATA_BYTES:
            raise InputError("The images are too large", code="TOO_LARGE", place=name, limit=in_megabytes(MAX_DATA_BYTES))
        arrays.append(array)
    return arrays


def _decode(data: bytes, place: str) -> Array:
    """One image as uint8 (height, width, 1 or 3). Raises InputError IMAGE_TOO_LARGE, BAD_IMAGE."""
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            with Image.open(io.BytesIO(data), formats=FORMATS) as image:
                if image.width * image.height > MAX_PIXELS:
                    raise _image_too_large(place, f"{image.width} x {image.height} pixels")
                if image.mode.startswith(("I", "F")):
                    raise InputError(
                        "The image has more than 8 bits a channel", code="BAD_IMAGE", place=place, received=image.mode
                    )
                if getattr(image, "n_frames", 1) > 1:
                    received = f"{getattr(image, 'n_frames', 1)} frames"
                    raise InputError("The image is an animation", code="BAD_IMAGE", place=place, received=received)
                return _pixels(image)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise _image_too_large(place, str(error)) from error
    except InputError:
        raise
    # Pillow's decoders report damage with whatever exception they meet: SyntaxError, ValueError, struct.error, OSError, ...
    except Exception as error:
        raise InputError(
            "The image cannot be read",
            code="BAD_IMAGE",
            place=place,
            expected="a whole " + ", ".join(FORMATS),
            received=str(error),
        ) from error


def _image_too_large(place: str, received: str) -> InputError:
    return InputError(
        "The image is too large", code="IMAGE_TOO_LARGE", place=place, received=received, limit=f"{MAX_PIXELS:,} pixels"
    )


def _pixels(image: object) -> Array:
    from PIL import Image

    if not isinstance(image, Image.Image):
        raise TypeError(type(image))
    grey = image.mode in GREY_MODES
    pixels = np.asarray(image.convert("L" if grey else "RGB"), dtype=np.uint8)
    return pixels[..., np.newaxis] if grey else pixels


def _one_size(arrays: list[Array]) -> tuple[Array, list[str]]:
    """All images in one array: the most common size, grey only where all are grey."""
    from PIL import Image

    (height, width), _ = Counter(array.shape[:2] for array in arrays).most_common(1)[0]
    channels = max(array.shape[2] for array in arrays)
    x = np.empty((len(arrays), height, width, channels), dtype=np.uint8)
    resized = 0
    for number, array in enumerate(arrays):
        if array.shape[:2] != (height, width):
            picture = Image.fromarray(array[..., 0] if array.shape[2] == 1 else array)
            array = np.asarray(picture.resize((width, height), Image.Resampling.BILINEAR)).reshape(height, width, -1)
            resized += 1
        x[number] = array
    notes = (
        [f"{resized} of {len(arrays)} images were resized to {width} x {height} pixels, the most common size."] if resized else []
    )
    if channels == 3 and any(array.shape[2] == 1 for array in arrays):
        notes.append("Grey images among colour ones were taken as colour.")
    return x, notes
