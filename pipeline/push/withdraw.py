"""Withdrawal of pushed versions: each is renamed, so servers see it whole or not at all, and it is never lost."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from serving.manifest import manifest_fault

WITHDRAWN: Final = ".withdrawn"


class WithdrawError(Exception):
    """Nothing was withdrawn. The message says why and what to do."""


def withdrawn_folder(base_path: str | Path) -> Path:
    """Returns the folder of withdrawn versions: a sibling of the base path, so on the same file system."""
    base = Path(base_path)
    return base.with_name(base.name + WITHDRAWN)


def is_withdrawn(version: Path) -> bool:
    """Returns whether the folder of a version was moved to `withdrawn_folder`."""
    return not version.is_dir() and (withdrawn_folder(version.parent) / version.name).is_dir()


def version_numbers(folder: str | Path) -> list[int]:
    """Returns the versions in a folder, oldest first; none where there is no such folder."""
    path = Path(folder)
    children = path.iterdir() if path.is_dir() else ()
    return sorted(int(child.name) for child in children if child.name.isdigit() and child.is_dir())


def withdraw(base_path: str, to: int | None = None, even_the_last: bool = False) -> list[int]:
    """Moves the newest version, or all that are newer than `to`, to `withdrawn_folder`.

    The newest goes last: servers of the latest version then change once, to the one that stays.

    Returns:
      The versions that were moved.

    Raises:
      WithdrawError: There is nothing to withdraw, no version `to`, no version that would stay, or only a damaged one
        (without `even_the_last`), or `base_path` is not on a file system.
      OSError: A folder cannot be moved; those before it were.
    """
    if "://" in base_path:
        raise WithdrawError(
            "versions are withdrawn by a rename, which object stores do not have. Name the version that should answer "
            f"in the servers' model config file instead (docs/how-to/serve.md). Received: {base_path}"
        )
    versions = version_numbers(base_path)
    gone = _chosen(base_path, versions, to, even_the_last)
    stays = max(set(versions) - set(gone), default=None)
    fault = version_fault(Path(base_path) / str(stays)) if stays is not None and not even_the_last else ""
    if fault:
        raise WithdrawError(
            f"version {stays} would answer then, and is damaged: {fault}. Name one before it: `--to`. "
            f"`--even-the-last` withdraws all the same"
        )
    aside = withdrawn_folder(base_path)
    aside.mkdir(exist_ok=True)
    for version in gone:
        (Path(base_path) / str(version)).rename(aside / str(version))
    return gone


def version_fault(folder: Path) -> str:
    """Returns how a version's files differ from those that were pushed; "" where they are equal, or unknown."""
    try:
        return manifest_fault(str(folder)) or ""
    except OSError as error:
        return f"{error.filename}: cannot be read ({error.strerror})"


def _chosen(base_path: str, versions: Sequence[int], to: int | None, even_the_last: bool) -> list[int]:
    if not versions:
        raise WithdrawError(f"{base_path} holds no version")
    if to is None:
        if len(versions) == 1 and not even_the_last:
            raise WithdrawError(
                f"version {versions[0]} is the only one in {base_path}: no other could answer. "
                "`--even-the-last` withdraws it all the same"
            )
        return [versions[-1]]
    if to not in versions:
        raise WithdrawError(_no_such_version(base_path, versions, to))
    if to == versions[-1]:
        raise WithdrawError(f"version {to} is the newest in {base_path} already")
    return [version for version in versions if version > to]


def _no_such_version(base_path: str, versions: Sequence[int], to: int) -> str:
    aside = withdrawn_folder(base_path) / str(to)
    if aside.is_dir():
        return f"version {to} was withdrawn. This brings it back: mv {aside} {base_path}/"
    return f"there is no version {to} in {base_path}. Found: {', '.join(map(str, versions))}"
