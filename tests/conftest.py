"""Fixtures shared by all tests."""

import gc
import os
import shutil
from collections import Counter
from pathlib import Path

# One thread of torch to a process: tests run in two processes, and tiny models gain nothing from more.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
from hypothesis import HealthCheck, settings
from tiny import PROMPTS, make_model

from atlas.store import template

# A busy machine is no failure.
settings.register_profile("atlas", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("atlas")


def pytest_collection():
    """What is collected stays until the end: the collector of garbage need not look through it meanwhile."""
    gc.disable()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Mark as slow the cases of a test that the quick suite does not take."""
    taken = Counter()
    for item in items:
        if marker := item.get_closest_marker("quick"):
            taken[item.path, item.function] += 1
            if taken[item.path, item.function] > marker.args[0]:
                item.add_marker("slow")


def pytest_collection_finish():
    """From here on it works, but for that."""
    gc.freeze()
    gc.enable()


@pytest.fixture(scope="session", autouse=True)
def made_once(tmp_path_factory):
    """Keeps the template of new atlases in a folder of these tests, whose own atlases are plain copies of it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(template.VARIABLE, str(tmp_path_factory.mktemp("cache")))
        patch.setattr(template, "copy", lambda kept, path, _: shutil.copyfile(kept, path))
        yield


@pytest.fixture(autouse=True)
def no_width(monkeypatch):
    """Tables have no limit of width but where a test sets one; pytest's processes are given one."""
    monkeypatch.delenv("COLUMNS", raising=False)


@pytest.fixture(params=["bert", "gpt2"])
def family(request):
    return request.param


@pytest.fixture
def tiny(family):
    """A tiny float64 model of each family."""
    return make_model(family)


@pytest.fixture
def prompts():
    """Prompts of several lengths and answer lengths, all usable by both kinds of model."""
    return list(PROMPTS)


@pytest.fixture(scope="session")
def real_data():
    """The folder of real facts: `ATLAS_TEST_DATA`, or `shared/data` beside the repository."""
    folder = Path(os.environ.get("ATLAS_TEST_DATA", Path(__file__).parents[2] / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"the real fact files are not at {folder}; set ATLAS_TEST_DATA to their folder")
    return folder
