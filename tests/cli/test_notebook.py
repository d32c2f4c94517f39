"""The notebook of the docs runs as it stands, and its chart is drawn without a network."""

import os
from pathlib import Path

import pytest

NOTEBOOK = Path(__file__).parents[2] / "docs" / "capitals.ipynb"


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of the kernel's client
def test_the_notebook_runs_as_written(tmp_path, monkeypatch):
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    monkeypatch.setitem(os.environ, "JUPYTER_PLATFORM_DIRS", "1")
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    assert all(cell.get("outputs", []) == [] for cell in notebook.cells), "outputs are not kept in the repository"
    nbclient.NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
    found = [output for cell in notebook.cells for output in cell.get("outputs", []) if "data" in output]
    assert "('demo-mbert', 60)" in found[0]["data"]["text/plain"]
    (chart,) = (output["data"] for output in found if "image/svg+xml" in output["data"])
    assert "text/html" not in chart, "a page that would fetch scripts"
