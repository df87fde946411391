"""The gate's rule against numbers worked out by hand, brute force over all pairs, a bootstrap and scikit-learn."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from sklearn.metrics import log_loss, roc_auc_score

from {{cookiecutter.package_name}}.spec import PRIMARY, Task
from {{cookiecutter.package_name}}.training import evaluate
from {{cookiecutter.package_name}}.training.comparison import (
    METRICS,
    Difference,
    Verdict,
    comparable,
    compare,
    judge,
    row_scores,
    rows_needed,
    skill,
    slice_is_worse,
)

EVERY = [metric for metrics in METRICS.values() for metric in metrics]
seeds = st.integers(0, 2**32 - 1)


def drawn(metric: str, seed: int, rows: int = 60) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Truth, challenger and champion with many ties, and at least two of each class where there are classes."""
    rng = np.random.default_rng(seed)
    if metric in METRICS["regression"]:
        return tuple(np.round(rng.gamma(2, 10, rows), 1) for _ in range(3))
    truth = np.concatenate([[0.0, 0.0, 1.0, 1.0], (rng.random(rows - 4) < 0.3).astype(float)])
    first, second = (np.round(np.clip(rng.normal(0.3 + 0.2 * truth, 0.2), 0.05, 0.95), 1) for _ in range(2))
    return truth, first, second


def test_differences_by_hand() -> None:
    truth = np.array([10.0, 20.0, 30.0, 40.0])
    champion, challenger = np.array([11.0, 19.0, 32.0, 40.0]), np.array([12.0, 21.0, 28.0, 40.0])
    # |e| goes from 1 1 2 0 to 2 1 2 0: the differences are -1 0 0 0
    said = compare("mae", truth, challenger, champion, 0.5)
    assert (said.mean, said.sd, said.error, said.rows) == pytest.approx((-0.25, 0.5, 0.25, 4))
    # third moment (-0.75³ + 3 · 0.25³) / 4 = -3/32, over 4², over 0.25³: both ends move down by 0.4 errors
    assert said.skew == pytest.approx(-0.375)
    middle = -0.25 - 0.375 * (1 + 2 * 1.645**2) / 6 * 0.25
    assert said.interval == pytest.approx((middle - 1.645 * 0.25, middle + 1.645 * 0.25))
    # squares go from 1 1 4 0 to 4 1 4 0
    assert compare("mse", truth, challenger, champion, 0.5).mean == pytest.approx(-0.75)

    truth, champion, challenger = np.array([1, 0, 1, 0]), np.array([0.9, 0.2, 0.6, 0.4]), np.array([0.9, 0.2, 0.3, 0.4])
    said = compare("accuracy", truth, challenger, champion, 0.5)
    assert (said.mean, said.sd) == pytest.approx((-0.25, 0.5))
    assert compare("accuracy", truth, challenger, champion, 0.3).mean == 0, "the threshold itself is a yes"
    assert compare("log_loss", truth, challenger, champion, 0.5).mean == pytest.approx(math.log(0.3 / 0.6) / 4)
    # of the four pairs the champion has all in order, the challenger all but 0.3 against 0.4
    said = compare("auc", truth, challenger, champion, 0.5)
    # placements of the yeses go from 1 1 to 1 ½, of the noes from 1 1 to 1 ½: sd ½√½ each, squared and halved: 1/16
    assert (said.mean, said.error) == pytest.approx((-0.25, math.sqrt(1 / 16 + 1 / 16)))


def naively(truth: np.ndarray, challenger: np.ndarray, champion: np.ndarray) -> tuple[float, float]:
    """DeLong's difference and standard error from the matrix of all pairs and the covariances as published."""
    placed = []
    for predicted in (challenger, champion):
        yes, no = predicted[truth == 1], predicted[truth == 0]
        pairs = (yes[:, None] > no).astype(float) + 0.5 * (yes[:, None] == no)
        placed.append((pairs.mean(), pairs.mean(axis=1), pairs.mean(axis=0)))
    (first, *one), (second, *other) = placed
    variance = sum(
        (covariance := np.cov(a, b))[0, 0] / len(a) + covariance[1, 1] / len(a) - 2 * covariance[0, 1] / len(a)
        for a, b in zip(one, other, strict=True)
    )
    return first - second, math.sqrt(max(variance, 0))


@given(seeds, st.integers(4, 80))
def test_delong_is_brute_force_over_all_pairs(seed: int, rows: int) -> None:
    truth, challenger, champion = drawn("auc", seed, rows)
    said = compare("auc", truth, challenger, champion, 0.5)
    assert (said.mean, said.error) == pytest.approx(naively(truth, challenger, champion), abs=1e-9)
    assert said.sd == pytest.approx(said.error * math.sqrt(rows))


@given(seeds)
def test_a_difference_is_that_of_scikit_learns_metrics(seed: int) -> None:
    for metric in EVERY:
        truth, challenger, champion = drawn(metric, seed)
        task: Task = "regression" if metric in METRICS["regression"] else "classification"
        first, second = (evaluate.measure(task, truth, values, 0.4) for values in (challenger, champion))
        better = {"mse": "rmse"}.get(metric, metric)
        power, sign = (2 if metric == "mse" else 1), (1 if metric in ("auc", "accuracy") else -1)
        expected = sign * (first[better] ** power - second[better] ** power)
        assert compare(metric, truth, challenger, champion, 0.4).mean == pytest.approx(expected, abs=1e-9), metric


def test_delongs_auc_is_scikit_learns() -> None:
    truth, challenger, _ = drawn("auc", 3, 500)
    coin = np.full(500, 0.5)
    assert compare("auc", truth, challenger, coin, 0.5).mean == pytest.approx(roc_auc_score(truth, challenger) - 0.5)


def test_a_certainty_that_is_wrong_costs_what_scikit_learn_says() -> None:
    truth, predicted = np.array([1.0, 0.0]), np.array([0.0, 0.0])
    cost = -row_scores("log_loss", truth, predicted, 0.5).mean()
    assert cost == pytest.approx(log_loss(truth, predicted, labels=[0, 1])) == pytest.approx(18.02, abs=0.01)
    with pytest.raises(ValueError, match="auc is no sum over rows"):
        row_scores("auc", truth, predicted, 0.5)


@pytest.mark.parametrize("metric", EVERY)
def test_the_standard_error_is_a_bootstraps(metric: str) -> None:
    """Within 12%: 500 draws know a standard deviation to 3.2%, and heavy tails add to it."""
    truth, challenger, champion = drawn(metric, 11, 400)
    rng = np.random.default_rng(5)
    means = []
    for _ in range(500):
        rows = rng.integers(0, len(truth), len(truth))
        means.append(compare(metric, truth[rows], challenger[rows], champion[rows], 0.4).mean)
    assert compare(metric, truth, challenger, champion, 0.4).error == pytest.approx(np.std(means), rel=0.12)


@pytest.mark.parametrize(("metric", "draws"), [("mae", 5_000), ("auc", 1_000)])
def test_the_skewness_is_a_bootstraps(metric: str, draws: int) -> None:
    """Within 0.2: 1,000 draws know a skewness to 0.08. A few rows carry the loss, as after a join by a wrong key."""
    truth, _, champion = drawn(metric, 3, 300)
    challenger = champion.copy()
    challenger[np.flatnonzero(truth >= np.quantile(truth, 0.9))[:8]] = 0.0
    rng, said = np.random.default_rng(8), compare(metric, truth, challenger, champion, 0.5)
    means = []
    for _ in range(draws):
        rows = rng.integers(0, len(truth), len(truth))
        means.append(compare(metric, truth[rows], challenger[rows], champion[rows], 0.5).mean)
    away = np.array(means) - np.mean(means)
    assert said.skew < -0.2, "losses in few rows"
    assert said.skew == pytest.approx(float(np.mean(away**3) / np.std(means) ** 3), abs=0.2)


def test_a_loss_that_sits_in_few_rows_is_missed_as_seldom_as_another() -> None:
    """50 of 5,000 rows carry a loss of exactly the tolerance: 5% of 600 is 30, and 49 is 3.6 standard errors more."""
    rng, passed, uncorrected = np.random.default_rng(4), 0, 0
    for _ in range(600):
        hit = rng.random(5_000) < 0.01
        truth = rng.normal(0, 0.1, 5_000)
        challenger = np.where(hit, truth + rng.exponential(1.0, 5_000), truth)
        difference = compare("mae", truth, challenger, truth, 0.5)
        passed += judge(difference, 0.01) is Verdict.PASS
        plain = Difference(difference.mean, difference.error, difference.sd, difference.rows)
        uncorrected += judge(plain, 0.01) is Verdict.PASS
    assert passed <= 49
    assert uncorrected > passed, "what the correction is for"


@given(seeds)
def test_who_is_compared_with_whom_changes_the_sign_only(seed: int) -> None:
    for metric in EVERY:
        truth, challenger, champion = drawn(metric, seed)
        there = compare(metric, truth, challenger, champion, 0.5)
        back = compare(metric, truth, champion, challenger, 0.5)
        assert (there.mean, there.error) == pytest.approx((-back.mean, back.error), abs=1e-12), metric
        assert there.interval == pytest.approx((-back.interval[1], -back.interval[0]), abs=1e-12), metric


@given(seeds)
def test_the_order_of_rows_does_not_matter(seed: int) -> None:
    order = np.random.default_rng(seed).permutation(60)
    for metric in EVERY:
        columns = drawn(metric, seed)
        said = compare(metric, *columns, 0.5)
        other = compare(metric, *(column[order] for column in columns), 0.5)
        assert (said.mean, said.error) == pytest.approx((other.mean, other.error), abs=1e-9), metric


@given(seeds)
def test_auc_looks_at_the_order_of_predictions_only(seed: int) -> None:
    truth, challenger, champion = drawn("auc", seed)
    said = compare("auc", truth, challenger, champion, 0.5)
    assert compare("auc", truth, challenger**3 / 7, np.exp(9 * champion), 0.5) == said


@given(st.floats(-1, 1), st.floats(0, 1), st.floats(-1, 1), st.floats(1e-6, 1), st.floats(1e-6, 1))
def test_the_verdicts_part_the_line_and_a_wider_tolerance_never_blocks(
    mean: float, error: float, skew: float, tolerance: float, other: float
) -> None:
    difference = Difference(mean, error, error * 10, 100, skew)
    low, high = difference.interval
    verdict = judge(difference, tolerance)
    holds = {
        Verdict.PASS: low > -tolerance,
        Verdict.FAIL: low <= -tolerance and high < 0,
        Verdict.INCONCLUSIVE: low <= -tolerance and high >= 0,
    }
    assert [name for name, true in holds.items() if true] == [verdict]
    if verdict is Verdict.PASS:
        assert judge(difference, max(tolerance, other)) is Verdict.PASS


def test_verdicts_by_hand() -> None:
    for mean, error, verdict in [
        (0.000, 0.006, Verdict.PASS),  # the lower end is -0.0099
        (0.000, 0.007, Verdict.INCONCLUSIVE),  # -0.0115
        (-0.004, 0.002, Verdict.PASS),  # a certain loss, certainly within the tolerance
        (-0.020, 0.010, Verdict.FAIL),  # -0.036 to -0.004
        (-0.020, 0.013, Verdict.INCONCLUSIVE),  # -0.041 to +0.001
        (-0.010, 0.000, Verdict.FAIL),  # exactly the tolerance is not within it
        (-1.645, 1.000, Verdict.INCONCLUSIVE),  # up to 0, which is no loss
        (0.500, 0.400, Verdict.INCONCLUSIVE),  # however good it looks
    ]:
        assert judge(Difference(mean, error, error, 1), 0.01) is verdict, (mean, error)


@given(st.floats(1e-6, 1e3), st.floats(1e-4, 1e2))
def test_with_the_rows_that_are_needed_an_equal_model_passes(sd: float, tolerance: float) -> None:
    needed = rows_needed(Difference(-0.1, sd / 10, sd, 100), tolerance)
    rows = max(needed, 1)
    error = sd / math.sqrt(rows)
    assert judge(Difference(0.0, error, sd, rows), tolerance) is Verdict.PASS
    assume(needed > 100)  # where the root of a row more or less is no matter
    # as often as promised: 95% of luck stays above -1.645 standard errors, and there it still just passes
    assert judge(Difference(-1.64 * error, error, sd, rows), tolerance) is Verdict.PASS
    error = sd / math.sqrt(rows * 0.9)
    assert judge(Difference(-1.645 * error, error, sd, rows), tolerance) is not Verdict.PASS, "and with fewer not"


def test_rows_needed_by_hand() -> None:
    assert rows_needed(Difference(0.0, 0.03, 0.2, 44), 0.01) == math.ceil(66**2) == 4356


@pytest.mark.parametrize("metric", EVERY)
@pytest.mark.parametrize("tolerance", [1e-9, 0.01])
def test_the_same_predictions_pass_and_need_no_rows(metric: str, tolerance: float) -> None:
    truth, champion, _ = drawn(metric, 1)
    said = compare(metric, truth, champion.copy(), champion, 0.5)
    assert (said.mean, said.error, rows_needed(said, tolerance)) == (0, 0, 0)
    assert judge(said, tolerance) is Verdict.PASS
    assert not slice_is_worse(said, 10, 0.0)


def test_a_slice_blocks_when_worse_for_certain_among_all_that_were_looked_at() -> None:
    # z is 1.645 for one slice, 2.326 for five and 2.576 for ten: 0.05 / 10 is 0.5%
    for mean, slices, blocks in [(-0.030, 1, True), (-0.024, 5, True), (-0.024, 10, False), (-0.026, 10, True)]:
        assert slice_is_worse(Difference(mean, 0.01, 0.2, 400), slices, 0.01) is blocks, (mean, slices)
    assert not slice_is_worse(Difference(-0.009, 0.001, 0.02, 400), 10, 0.01), "certain, and too little to matter"
    assert not slice_is_worse(Difference(0.030, 0.001, 0.02, 400), 10, 0.01)


@given(seeds, st.integers(1, 50), st.integers(1, 50))
def test_more_slices_ask_for_more(seed: int, first: int, second: int) -> None:
    rng = np.random.default_rng(seed)
    difference = Difference(float(rng.normal(0, 0.03)), 0.01, 0.2, 400)
    if slice_is_worse(difference, max(first, second), 0.005):
        assert slice_is_worse(difference, min(first, second), 0.005)


@pytest.mark.parametrize("task", METRICS)
def test_skill_is_that_of_the_metrics(task: Task) -> None:
    metric = PRIMARY[task]
    truth, predicted, _ = drawn(metric, 2)
    naive = np.full(60, truth.mean())
    said, _ = skill(metric, truth, predicted, naive, 0.5, floor=0.1)
    assert said == pytest.approx(evaluate.against_baseline(task, truth, predicted, naive, 0.5)["skill"])


def test_the_margin_by_which_skill_is_above_the_floor() -> None:
    truth, predicted, naive = np.array([10.0, 20.0, 30.0]), np.array([11.0, 20.0, 30.0]), np.array([14.0, 23.0, 32.0])
    said, margin = skill("mae", truth, predicted, naive, 0.5, floor=0.5)
    # losses 1 0 0 and 4 3 2; half the baseline's less the model's: 1 1.5 1, mean 7/6, sd √(1/12)
    assert said == pytest.approx(1 - 1 / 9)
    assert margin == pytest.approx(7 / 6 - 1.645 * math.sqrt(1 / 12 / 3))
    assert skill("mae", truth, predicted, naive, 0.5, floor=0.95)[1] < 0

    truth = np.tile([0.0, 1.0], 50)
    predicted = np.where(np.arange(100) < 10, 1 - truth, truth)  # ten misses, in order otherwise
    always_no, coin = np.zeros(100), np.full(100, 0.5)
    assert skill("accuracy", truth, predicted, always_no, 0.5, 0.0)[0] == pytest.approx(1 - 10 / 50)
    assert skill("auc", truth, predicted, coin, 0.5, 0.0)[0] == pytest.approx((0.9 - 0.5) / 0.5)
    floor = 0.3
    margin = skill("auc", truth, predicted, coin, 0.5, floor)[1]
    above = compare("auc", truth, predicted, coin, 0.5)
    assert margin == pytest.approx(0.9 - 0.5 - floor * 0.5 - 1.645 * above.error)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("metric", EVERY)
def test_no_skill_over_a_baseline_without_loss(metric: str) -> None:
    truth, predicted, _ = drawn(metric, 4)
    said, margin = skill(metric, truth, predicted, truth, 0.5, floor=0.0)
    assert said == 0 and margin < 0


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("metric", EVERY)
def test_what_has_no_standard_error_is_refused_and_not_judged(metric: str) -> None:
    truth, challenger, champion = drawn(metric, 6)
    assert comparable(metric, truth)
    for few in (truth[:0], truth[:1], np.ones(50) if metric == "auc" else truth[:1]):
        n = len(few)
        assert not comparable(metric, few)
        with pytest.raises(ValueError, match="comparable"):
            compare(metric, few, challenger[:n], champion[:n], 0.5)
        with pytest.raises(ValueError, match="comparable"):
            skill(metric, few, challenger[:n], champion[:n], 0.5, 0.0)
    one_yes = np.concatenate([[1.0], np.zeros(59)])
    assert comparable(metric, one_yes) is (metric != "auc")


@pytest.mark.parametrize("metric", EVERY)
@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_value_that_is_not_finite_is_refused_and_no_silent_no(metric: str, bad: float, place: int) -> None:
    columns = drawn(metric, 7)
    columns[place][10] = bad
    with pytest.raises(ValueError, match="1 values are not finite"):
        compare(metric, *columns, 0.5)
    with pytest.raises(ValueError, match="1 values are not finite"):
        skill(metric, *columns, 0.5, 0.0)


@pytest.mark.parametrize("metric", EVERY)
def test_predictions_as_a_column_do_not_become_a_table(metric: str) -> None:
    truth, challenger, champion = drawn(metric, 8)
    with pytest.raises(ValueError, match=r"shape \(60, 1\)"):
        compare(metric, truth, challenger[:, None], champion, 0.5)
