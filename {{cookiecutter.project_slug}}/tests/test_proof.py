"""A version serves only what it can prove: tampering, skew, another Python and other libraries are refused."""

from __future__ import annotations

import json
import os
import pickle
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import LinearRegression, PoissonRegressor, Ridge
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer

from {{cookiecutter.package_name}}.errors import ProjectError
from {{cookiecutter.package_name}}.model import artefact
from {{cookiecutter.package_name}}.model.id import parse
from {{cookiecutter.package_name}}.model.proof import Proof, replay
from {{cookiecutter.package_name}}.model.version import ModelVersion
from {{cookiecutter.package_name}}.training.registry import FACTS, Registry

from conftest import Project, Ran


def placed(project: Project, version: str = "hours/1") -> Path:
    """The version's folder below var/serving, as fetched for a server."""
    return Registry(project.paths).fetch(parse(version, "hours"))


def facts_of(place: Path) -> dict[str, Any]:
    return json.loads((place / artefact.FACTS).read_text(encoding="utf-8"))


def stored(project: Project, version: str = "hours/1") -> Path:
    """The version's files in the registry itself."""
    registry, id = Registry(project.paths), parse(version, "hours")
    source = registry.client.get_model_version(registry.operations.registered(id.model), str(id.number)).source
    assert source is not None
    return project.paths.registry / "artifacts" / "models" / source.removeprefix("models:/") / "artifacts"


def set_facts(project: Project, version: str, **changed: Any) -> None:
    """Rewrite what the registry recorded, as somebody with access to it could."""
    registry = Registry(project.paths)
    id = parse(version, "hours")
    name = registry.operations.registered(id.model)
    tags = registry.client.get_model_version(name, str(id.number)).tags
    facts = json.loads(tags[FACTS]) | changed
    registry.client.set_model_version_tag(name, str(id.number), FACTS, json.dumps(facts))


def assert_refused(ran: Ran, *words: str) -> None:
    assert ran.code == 1, ran.out + ran.err
    for word in words:
        assert word in ran.err
    assert "Traceback" not in ran.err


@pytest.mark.parametrize("version", ["hours/1", "late/1"])
def test_the_proof_holds_for_trees_and_for_a_linear_model(trained: Project, version: str) -> None:
    place = placed(trained, version)
    loaded = artefact.load(place / artefact.FOLDER, facts_of(place))
    verdict = replay(loaded, Proof.read(place / artefact.FOLDER / artefact.PROOF))
    assert verdict.holds, verdict
    assert verdict.rows >= 60 and verdict.refusals >= 30
    assert verdict.largest <= 1e-12


def test_the_proof_has_nulls_unseen_levels_and_both_ends_of_every_range(shared_trained: Project) -> None:
    proof = Proof.read(stored(shared_trained) / artefact.PROOF)
    values = {name: [request[name] for request in proof.requests] for name in proof.requests[0]}
    assert None in values["customer_age_days"]
    assert "never-seen-in-training" in values["depot"]
    assert {1.0, 70_000.0} <= set(values["weight_g"])
    assert {"express", "standard", "economy"} <= set(values["service"])
    assert any(value.startswith("2024-02-29T23:59:59.999999") for value in values["created_at"])
    reasons = {(case["field"], case["reason"]) for case in proof.refusals}
    assert {("weight_g", "range"), ("created_at", "type"), ("service", "not_allowed"), ("depot", "missing")} <= reasons
    assert ("no_such_field", "unknown") in reasons


def test_reading_a_proof_gives_back_every_bit(shared_trained: Project, tmp_path: Path) -> None:
    proof = Proof.read(stored(shared_trained) / artefact.PROOF)
    odd = np.array([[0.1 + 0.2, -0.0], [5e-324, np.nan]])
    written = Proof(1.0, ["a", "b"], proof.requests[:2], odd, np.array([1 / 3, 1e308]), [])
    written.write(tmp_path / "proof.json")
    read = Proof.read(tmp_path / "proof.json")
    assert read.features.tobytes() == odd.tobytes()
    assert read.predictions.tobytes() == written.predictions.tobytes()


def test_a_changed_file_is_refused_before_a_byte_of_it_is_unpickled(trained: Project, tmp_path: Path) -> None:
    trap = tmp_path / "unpickled"

    class Trap:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.touch, (trap,))

    target = stored(trained) / artefact.PICKLE
    target.write_bytes(pickle.dumps(Trap()))
    assert_refused(trained.overrule("1"), "model.pkl has sha256", "registered was")
    assert not trap.exists()
    assert trained.ml("versions", "--json").json["history"] == []


@pytest.mark.parametrize("name", [artefact.PICKLE, artefact.CONTRACT, artefact.PROOF])
def test_the_copy_a_server_would_load_is_checked_again(trained: Project, name: str) -> None:
    place = placed(trained)
    path = place / artefact.FOLDER / name
    path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(ProjectError, match=re.escape(f"{name} has sha256")):
        artefact.load(place / artefact.FOLDER, facts_of(place))


def test_missing_and_extra_files_are_refused(trained: Project) -> None:
    folder = placed(trained) / artefact.FOLDER
    facts = facts_of(folder.parent)
    extra = next((folder / "code").iterdir()) / "__pycache__" / "features.cpython-311.pyc"
    extra.parent.mkdir()
    extra.write_bytes(b"code that nobody registered")
    (folder / "requirements.txt").unlink()
    with pytest.raises(ProjectError, match=r"requirements.txt is missing; code/.*pyc was not registered"):
        artefact.load(folder, facts)


def test_a_rotten_copy_is_fetched_again(trained: Project) -> None:
    place = placed(trained)
    (place / artefact.FOLDER / artefact.PICKLE).write_bytes(b"")
    assert placed(trained) == place
    artefact.load(place / artefact.FOLDER, facts_of(place))


def test_another_python_minor_is_refused(trained: Project) -> None:
    set_facts(trained, "hours/1", python="3.9")
    assert_refused(trained.overrule("1"), "trained under Python 3.9", "this is Python 3.1")


@pytest.mark.slow
def test_feature_code_edited_in_the_registry_is_refused_though_its_hash_was_rewritten(trained: Project) -> None:
    folder = stored(trained)
    features = next((folder / "code").iterdir()) / "features.py"
    features.write_text(features.read_text(encoding="utf-8").replace("np.sqrt(", "1.0001 * np.sqrt("), encoding="utf-8")
    set_facts(trained, "hours/1", files=artefact.digests(folder))
    assert_refused(trained.overrule("1"), "holds source whose name would be transform_")


def test_a_missing_library_is_named(trained: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    place = placed(trained)
    monkeypatch.setitem(sys.modules, "sklearn.ensemble._hist_gradient_boosting.predictor", None)
    with pytest.raises(ProjectError, match=r"needs a library that is not installed here: sklearn\.ensemble"):
        artefact.load(place / artefact.FOLDER, facts_of(place))


def test_a_library_that_computes_something_else_is_refused(
    trained: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A dependency bump that moves a feature in the last digits, as the server's process would meet it."""
    bump = "import numpy as np\nroot = np.sqrt\nnp.sqrt = lambda x: root(x) * (1 + 1e-12)\n"
    (tmp_path / "sitecustomize.py").write_text(bump, encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert_refused(trained.overrule("1"), "proof failed", "most in root_distance", "instead of", "difference")


@pytest.fixture
def loaded(trained: Project) -> tuple[ModelVersion, Proof]:
    place = placed(trained)
    version = artefact.load(place / artefact.FOLDER, facts_of(place))
    return version, Proof.read(place / artefact.FOLDER / artefact.PROOF)


def test_a_feature_function_changed_behind_the_artefacts_back_names_the_largest_difference(
    loaded: tuple[ModelVersion, Proof], monkeypatch: pytest.MonkeyPatch
) -> None:
    version, proof = loaded
    features = sys.modules[type(version.pipeline.steps[0][1]).__module__.rpartition(".")[0]].FEATURES
    monkeypatch.setitem(features, "hour_of_day", lambda c: np.mod(c["created_at"] + 3_600, 86_400) / 3_600)
    verdict = replay(version, proof)
    assert not verdict.holds
    assert proof.requests[0]["parcel_id"] not in str(verdict), "a row may be personal, and the words reach clients"
    assert "most in hour_of_day" in verdict.problems[0] and "(difference 23)" in verdict.problems[0]


def test_predictions_may_differ_in_the_last_bits_and_no_further(
    loaded: tuple[ModelVersion, Proof], monkeypatch: pytest.MonkeyPatch
) -> None:
    version, proof = loaded
    score = version.score
    monkeypatch.setattr(version, "score", lambda matrix: score(matrix) * (1 + 4e-10))
    assert replay(version, proof).holds
    monkeypatch.setattr(version, "score", lambda matrix: score(matrix) * (1 + 4e-9))
    assert "predictions one by one" in str(replay(version, proof))
    monkeypatch.setattr(version, "score", lambda matrix: score(matrix) * np.nan)
    assert "predictions as a batch" in str(replay(version, proof))


def test_a_label_may_flip_only_at_its_threshold(trained: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    place = placed(trained, "late/1")
    version = artefact.load(place / artefact.FOLDER, facts_of(place))
    proof = Proof.read(place / artefact.FOLDER / artefact.PROOF)
    chosen = (proof.features == proof.features[0]).all(axis=1)
    near = np.where(chosen, 0.5 + 1e-13, proof.predictions)
    at_threshold = Proof(proof.scale, proof.feature_names, proof.requests, proof.features, near, [])
    score = version.score

    def flipped(by: float) -> Any:
        def answer(matrix: np.ndarray) -> np.ndarray:
            return np.where((matrix == proof.features[0]).all(axis=1), 0.5 - by, score(matrix))

        return answer

    monkeypatch.setattr(version, "score", flipped(1e-13))
    assert replay(version, at_threshold).holds
    monkeypatch.setattr(version, "score", flipped(1e-6))
    assert "predictions one by one" in str(replay(version, at_threshold))


def test_a_contract_that_became_looser_or_stricter_is_refused(loaded: tuple[ModelVersion, Proof]) -> None:
    version, proof = loaded
    loose = version.contract.model_copy(
        update={
            "columns": [
                c.model_copy(update={"maximum": None}) if c.name == "weight_g" else c for c in version.contract.columns
            ]
        }
    )
    assert "a row with weight_g (range) is accepted" in str(
        replay(ModelVersion(loose, version.pipeline, version.facts), proof)
    )
    strict = version.contract.model_copy(
        update={
            "columns": [
                c.model_copy(update={"maximum": 10.0}) if c.name == "weight_g" else c for c in version.contract.columns
            ]
        }
    )
    assert "valid in training is refused" in str(replay(ModelVersion(strict, version.pipeline, version.facts), proof))


def test_training_the_same_twice_gives_the_same_predictions_and_files(trained: Project) -> None:
    assert trained.ml("train", "--config", "configs/hours.yaml").code == 0
    second, first = trained.ml("versions", "--json").json["versions"]
    assert first["metrics"] == second["metrics"]
    assert first["dataset_sha256"] == second["dataset_sha256"]
    differing = {name for name in first["files"] if first["files"][name] != second["files"][name]}
    assert differing == {"MLmodel"}, "only MLflow's own IDs and time of writing may differ"


SIDE_BY_SIDE = """
import json, sys
from pathlib import Path
import numpy as np, pandas as pd

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition('.')[0] == sys.argv[1]:
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Absent())
import mlflow

for folder in sys.argv[2:]:
    said = json.loads((Path(folder) / 'extra_files' / 'proof.json').read_text(encoding='utf-8'))
    rows = pd.DataFrame([row['request'] for row in said['rows']])
    rows['created_at'] = pd.to_datetime(rows['created_at'], format='ISO8601', utc=True).dt.tz_localize(None)
    rows['customer_age_days'] = rows['customer_age_days'].astype('float64')
    model = mlflow.pyfunc.load_model(folder)
    answers = np.asarray(model.predict(rows))
    answers = answers[:, 1] if answers.ndim == 2 else answers
    wanted = np.array([row['prediction'] for row in said['rows']])
    print(json.dumps({'rows': len(rows), 'largest': float(np.abs(answers - wanted).max())}))
print(json.dumps(sorted(name for name in sys.modules if name.startswith('transform_') and '.' not in name)))
"""


@pytest.mark.slow
def test_two_versions_with_other_features_and_contracts_load_side_by_side_without_the_package(
    trained: Project, tmp_path: Path
) -> None:
    """As pyfunc too, so that whoever has only MLflow gets the same answers."""
    package = "{{cookiecutter.package_name}}"
    source = tmp_path / "src" / package
    shutil.copytree(Path(artefact.__file__).parent.parent, source)
    features = source / "transform" / "features.py"
    text = features.read_text(encoding="utf-8")
    features.write_text(text.replace("return np.sqrt(", "return 1 + np.sqrt("), encoding="utf-8")
    contract = source / "contract.py"
    changed = (
        contract.read_text(encoding="utf-8").replace("max=70_000", "max=80_000").replace('version="1"', 'version="2"')
    )
    contract.write_text(changed, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", f"{package}.cli", "train", "--config", "configs/hours.yaml", "--json"],
        cwd=trained.paths.root,
        env=os.environ | {"PYTHONPATH": str(source.parent)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout)["contract_version"] == "2"

    # in one server process, each by its own code and contract
    heavy = {"weight_g": 75_000.0}
    for number, fits in ((1, False), (2, True)):
        place = placed(trained, f"hours/{number}")
        version = artefact.load(place / artefact.FOLDER, facts_of(place))
        proof = Proof.read(place / artefact.FOLDER / artefact.PROOF)
        assert replay(version, proof).holds
        body = json.dumps(version.request.example() | heavy).encode()
        if fits:
            version.answer(body)
        else:
            with pytest.raises(Exception, match="weight_g: range"):
                version.answer(body)

    folders = [str(stored(trained, f"hours/{number}")) for number in (1, 2)]
    done = subprocess.run(
        [sys.executable, "-c", SIDE_BY_SIDE, package, *folders],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
    )
    *answers, modules = [json.loads(line) for line in done.stdout.splitlines()]
    assert [answer["largest"] for answer in answers] == [0.0, 0.0]
    assert len(modules) == 2, "each version brought its own transform"


@pytest.mark.parametrize(
    ("kind", "short"),
    [(Ridge, True), (LinearRegression, True), (PoissonRegressor, False), (HistGradientBoostingRegressor, True)],
)
def test_every_estimator_scores_as_its_own_predict_does(
    kind: Any, short: bool, shared_trained: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Linear regressions take a short cut past scikit-learn's checks, boosted trees past its walk; a GLM must not."""
    contract = artefact.contract(stored(shared_trained))
    rng = np.random.default_rng(5)
    matrix = rng.normal(size=(500, 6))
    estimator = kind().fit(matrix, np.exp(matrix[:, 0]) + rng.random(500))
    steps = [("transform", FunctionTransformer()), ("estimator", estimator)]
    expected = estimator.predict(matrix), [estimator.predict(row[None]) for row in matrix[:20]]
    calls: list[int] = []
    predict = estimator.predict
    monkeypatch.setattr(estimator, "predict", lambda rows: calls.append(len(rows)) or predict(rows))
    version = ModelVersion(contract, Pipeline(steps), {})
    assert version.score(matrix).tobytes() == expected[0].tobytes()
    assert [version.score(row[None]).tobytes() for row in matrix[:20]] == [one.tobytes() for one in expected[1]]
    assert (calls == []) is short
