"""Notebooks run from top to bottom on a project's data, hold no outputs, and depend on no hidden state."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from conftest import ROOT, Project

NOTEBOOK = ROOT / "notebooks" / "01_explore.ipynb"


def execute(project: Project, book: nbformat.NotebookNode | None = None) -> nbformat.NotebookNode:
    book = book or nbformat.read(NOTEBOOK, as_version=4)
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
def test_every_other_notebook_runs(ingested: Project):
    for path in sorted(NOTEBOOK.parent.glob("*.ipynb")):
        if path != NOTEBOOK:
            execute(ingested, nbformat.read(path, as_version=4))


@pytest.mark.slow
def test_hidden_state_is_caught(project: Project):
    """As its author left it: the cell that made a name is gone, and the kernel still knew it."""
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code) for code in ("seen = 1", "print(seen)")])
    assert execute(project, book).cells[1].outputs[0].text == "1\n"
    del book.cells[0]
    with pytest.raises(CellExecutionError, match="name 'seen' is not defined"):
        execute(project, book)


def test_a_notebook_with_outputs_or_a_count_is_refused(tmp_path: Path):
    """The command is the one in ci.yml."""
    book = nbformat.read(NOTEBOOK, as_version=4)
    code = next(cell for cell in book.cells if cell.cell_type == "code")
    for count, outputs in ((None, []), (7, []), (None, [nbformat.v4.new_output("stream", text="42\n")])):
        code.execution_count, code.outputs = count, outputs
        nbformat.write(book, tmp_path / "left.ipynb")
        command = [sys.executable, "-m", "nbstripout", "--verify", str(tmp_path / "left.ipynb")]
        done = subprocess.run(command, capture_output=True, check=False)
        assert (done.returncode == 0) is (count is None and not outputs)


@pytest.mark.slow
def test_without_data_it_says_what_to_do(project: Project):
    with pytest.raises(CellExecutionError, match=r"no data yet(.|\n)*ml ingest --from"):
        execute(project)
