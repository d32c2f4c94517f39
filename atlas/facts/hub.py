"""Data sets of the Hugging Face hub: a snapshot of the data files, which the readers of files then read."""

import re
from pathlib import Path
from textwrap import shorten
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from atlas.errors import DataError, UsageError

PREFIX = "hf:"
DATA = ("*.json", "*.jsonl", "*.csv", "*.tsv", "*.parquet")
"""What is fetched: data files alone, no code."""

_NAME = re.compile(r"hf:([\w.-]+/[\w.-]+)((?:/[\w.-]+)*)(?:@([\w./-]+))?")
_MOST_CHARACTERS = 200


def snapshot(dataset: str) -> tuple[Path, str]:
    """Fetch `hf:OWNER/NAME[/FOLDER][@REVISION]`, or take the copy here; return its folder and the commit.

    Raises UsageError for another form and for a folder that is not there, DataError where nothing can be fetched.
    """
    named = _NAME.fullmatch(dataset)
    if not named or ".." in dataset:
        raise UsageError(
            f"{dataset!r} is no data set of the hub; write hf:OWNER/NAME, and @REVISION behind it if wanted."
        )
    repository, folder, revision = named.groups()
    root = _fetched(repository, revision)
    found = root / folder.strip("/")
    if not found.exists():
        raise UsageError(
            f"{PREFIX}{repository} has no data in {folder.strip('/')!r} at {root.name}; name another folder."
        )
    return found, root.name


def _fetched(repository: str, revision: str | None) -> Path:
    from huggingface_hub import snapshot_download  # slow to import, and most facts are files here

    try:
        found = snapshot_download(
            repository,
            repo_type="dataset",
            revision=revision,
            allow_patterns=list(DATA),
            local_files_only=not hub_answers(),
        )
    except (OSError, ValueError) as error:
        said = shorten(str(error), _MOST_CHARACTERS, placeholder=" ...")
        at = f" at {revision}" if revision else ""
        raise DataError(
            f"Data set {PREFIX}{repository}{at} cannot be fetched ({type(error).__name__}: {said}); check its name "
            "and the network, or fetch it elsewhere and give its folder."
        ) from error
    return Path(found)


def hub_answers() -> bool:
    """Return whether the Hugging Face hub can be asked: one try, as its library repeats each of its own for 23 s."""
    from huggingface_hub import constants  # slow to import

    if constants.is_offline_mode():
        return False
    try:
        urlopen(Request(constants.ENDPOINT, method="HEAD"), timeout=5).close()
    except HTTPError:
        return True
    except OSError:
        return False
    return True
