"""The notebook runs from top to bottom on a project's data, and says what to do where there is none."""

from __future__ import annotations

import nbformat
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from conftest import ROOT, Project

NOTEBOOK = ROOT / "notebooks" / "01_explore.ipynb"


def execute(project: Project) -> nbformat.NotebookNode:
    book = nbformat.read(NOTEBOOK, as_version=4)
    NotebookClient(book, timeout=120, resources={"metadata": {"path": str(project.paths.root)}}).execute()
    return book


def test_it_is_committed_without_outputs():
    book = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(book)
    code = [cell for cell in book.cells if cell.cell_type == "code"]
    assert code and all(cell.outputs == [] and cell.execution_count is None for cell in code)


@pytest.mark.slow
def test_it_runs_and_draws(ingested: Project):
    ingested.edit("configs/v1.yaml", "train_days: 28", "train_days: 7")
    code = [cell for cell in execute(ingested).cells if cell.cell_type == "code"]
    shown = [{kind for output in cell.outputs for kind in output.get("data", {})} for cell in code]
    assert sum("image/png" in kinds for kinds in shown) == 3
    assert "data until 2026-06-02" in code[0].outputs[0].text


@pytest.mark.slow
def test_without_data_it_says_what_to_do(project: Project):
    with pytest.raises(CellExecutionError, match=r"no data yet(.|\n)*ml ingest --from"):
        execute(project)
