"""What the server counts, in the format of Prometheus. Objectives and queries stand in docs/serving.md."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import HistogramMetricFamily
from prometheus_client.registry import Collector

from ..model.version import ModelVersion

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)


class Metrics:
    """Of one server. Every name begins with ``ml_``."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        about: dict[str, Any] = {"registry": self.registry}
        self._requests = Counter("ml_requests", "Requests answered", ["route", "status"], **about)
        self._seconds = Histogram(
            "ml_request_seconds", "From the first byte to the answer", ["route"], buckets=SECONDS, **about
        )
        self.waiting = Gauge("ml_requests_waiting", "Requests that are being answered", **about)
        self._batch = Histogram("ml_batch_rows", "Rows predicted at once", buckets=ROWS, **about)
        self._batch_seconds = Histogram(
            "ml_batch_seconds", "Features and prediction of a batch", **about, buckets=SECONDS
        )
        self.degraded = Counter("ml_degraded", "Answers by another than the champion", ["how"], **about)
        self.failed = Counter(
            "ml_predictions_failed", "Requests the model gave no prediction for", ["version"], **about
        )
        self.refused = Counter("ml_versions_refused", "Versions that failed their proof or could not load", **about)
        self._serving = Gauge("ml_version_serving", "1 for every version in use", ["version", "role"], **about)
        self.registry_up = Gauge("ml_registry_up", "Whether the registry answered last", **about)
        self.shadow_dropped = Counter("ml_shadow_dropped", "Requests the shadow had no time for", **about)
        self._values = Predictions()
        self.registry.register(self._values)
        ProcessCollector(namespace="ml", registry=self.registry)
        self._cells: dict[tuple[str, int], Any] = {}
        self._times: dict[str, Any] = {}

    def request(self, route: str, status: int, seconds: float) -> None:
        """Count an answer. Children are kept here: looking them up by label takes longer than counting."""
        cell = self._cells.get((route, status))
        if cell is None:
            cell = self._cells[route, status] = self._requests.labels(route, f"{status}")
            self._times.setdefault(route, self._seconds.labels(route))
        cell.inc()
        self._times[route].observe(seconds)

    def batch(self, version: ModelVersion, rows: int, seconds: float) -> None:
        self._batch.observe(rows)
        self._batch_seconds.observe(seconds)

    def predictions(self, version: ModelVersion, values: np.ndarray) -> None:
        self._values.add(version, values)

    def serving(self, roles: Mapping[str, str]) -> None:
        """``roles``: version by role, as it is from now on."""
        self._serving.clear()
        for role, version in roles.items():
            self._serving.labels(version, role).set(1)
        self._values.keep(roles.values())

    def of(self, name: str, about: str, read: Callable[[], float]) -> None:
        """A figure that is kept elsewhere, and read when somebody asks."""
        Gauge(name, about, registry=self.registry).set_function(read)

    def page(self) -> bytes:
        return generate_latest(self.registry)


class Predictions(Collector):
    """How predictions are distributed: a histogram a version, cut at the deciles of its proof's."""

    def __init__(self) -> None:
        self._seen: dict[str, tuple[np.ndarray, np.ndarray, list[float]]] = {}

    def add(self, version: ModelVersion, values: np.ndarray) -> None:
        seen = self._seen.get(version.name)
        if seen is None:
            cuts = version.deciles
            seen = self._seen[version.name] = (cuts, np.zeros(len(cuts) + 1, dtype=np.int64), [0.0])
        cuts, counts, total = seen
        if len(values) == 1:  # as most are: 0.5 us, and the other way 5
            counts[cuts.searchsorted(values[0])] += 1
        else:
            counts += np.bincount(cuts.searchsorted(values), minlength=len(counts))
        total[0] += float(values.sum())

    def keep(self, versions: Iterable[str]) -> None:
        """Forget all others: a server that runs for a year has seen many."""
        wanted = set(versions)
        self._seen = {name: seen for name, seen in self._seen.items() if name in wanted}

    def collect(self) -> Iterable[HistogramMetricFamily]:
        family = HistogramMetricFamily("ml_prediction", "Predictions, by version", labels=["version"])
        for name, (cuts, counts, total) in self._seen.items():
            bounds = [f"{cut:g}" for cut in cuts] + ["+Inf"]
            family.add_metric([name], list(zip(bounds, np.cumsum(counts).tolist(), strict=True)), total[0])
        yield family
