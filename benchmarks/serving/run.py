"""The server beside others: `make bench-serving`. Writes docs/benchmarks.md."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import page
from page import prose
from serving.names import FASTAPI, MLFLOW, OURS, OWN, UNLOGGED


@dataclass(frozen=True)
class Promise:
    """A figure is to be at least, or at most, ``limit``."""

    limit: float
    least: bool = True
    moonshot: float | None = None
    form: str = "{:.2f} x"

    def kept(self, figure: float) -> bool:
        return figure >= self.limit if self.least else figure <= self.limit


PROMISES = {
    f"requests/s, by {MLFLOW}": Promise(60, moonshot=150, form="{:.0f} x"),
    f"requests/s, by {OWN}": Promise(10, form="{:.1f} x"),
    f"requests/s, by {FASTAPI}": Promise(0.7, moonshot=1.2),
    f"p99, by {FASTAPI}": Promise(2, least=False),
    f"rows/s of 1,000-row requests, JSON rows, log off, by {MLFLOW}": Promise(4, form="{:.1f} x"),
    f"rows/s of 1,000-row requests, columns, log off, by {MLFLOW}": Promise(8, form="{:.1f} x"),
    "256 connections, slowest answer by the time limit": Promise(1, least=False),
    "256 connections, 5xx other than 503": Promise(0, least=False, form="{:.0f}"),
    "256 connections, connections refused or broken": Promise(0, least=False, form="{:.0f}"),
    f"start to first prediction, by {MLFLOW}": Promise(0.5, least=False),
    "memory after load, RSS": Promise(300, least=False, form="{:.0f} MB"),
}


def figures(measured: dict[str, Any]) -> dict[str, float | None]:
    """What was measured of every promise, in the order of PROMISES; None for what could not be."""
    single, thousand, crowd = measured["single"], measured["thousand"], measured["crowd"]
    statuses = crowd["statuses"].items()
    wrong = sum(count for status, count in statuses if status >= "500" and status != "503")
    own = single.get(OWN)
    seen = (
        single[MLFLOW]["by rate"][1],
        own and own["by rate"][1],
        single[FASTAPI]["by rate"][1],
        single[FASTAPI]["by p99"][1],
        thousand["ratios"].get(f"{UNLOGGED}, JSON rows"),
        thousand["ratios"].get(f"{UNLOGGED}, columns"),
        crowd["slowest"] / crowd["limit"],
        wrong,
        sum(crowd[kind] for kind in ("connect", "read", "write", "timeout")),
        measured["starts"][MLFLOW]["ratio"],
        single[OURS]["rss"],
    )
    return dict(zip(PROMISES, seen, strict=True))


def broken(measured: dict[str, Any]) -> list[str]:
    """Promises that the figures do not keep, or that nothing was measured of."""
    said = []
    for name, figure in figures(measured).items():
        promise = PROMISES[name]
        if figure is None:
            said.append(f"{name}: not measured")
        elif not promise.kept(figure):
            said.append(f"{name}: {promise.form.format(figure)} of {promise.form.format(promise.limit)}")
    return said


def promises_table(measured: dict[str, Any]) -> str:
    rows = []
    for name, figure in figures(measured).items():
        promise = PROMISES[name]
        bound = "at least" if promise.least else "at most"
        rows.append(
            [
                name,
                "not measured" if figure is None else promise.form.format(figure),
                f"{bound} {promise.form.format(promise.limit)}",
                promise.form.format(promise.moonshot) if promise.moonshot else "",
            ]
        )
    return page.aligned(["ours", "measured", "promised", "hoped for"], rows)


def servers_table(measured: dict[str, Any]) -> str:
    rows = []
    for name, seen in measured["single"].items():
        low, middle, high = seen["by rate"]
        digits = 0 if middle >= 10 else 2
        rows.append(
            [
                f"**{name}**" if name == OURS else name,
                f"{seen['rate']:,.0f}",
                "" if name == OURS else f"{middle:.{digits}f} x ({low:.{digits}f} to {high:.{digits}f})",
                f"{seen['cpu'] * 1e6:,.0f}",
                f"{seen['p50'] * 1e3:,.1f}",
                f"{seen['p99'] * 1e3:,.1f}",
                f"{seen['rss']:,.0f}",
                f"{seen['pss']:,.0f}",
            ]
        )
    rows += [[name, "not measured", *[""] * 6] for name in measured["missing"]]
    heads = ["requests/s", "ours by it", "µs of CPU", "p50 ms", "p99 ms", "RSS MB", "PSS MB"]
    return page.aligned(["one row a request", *heads], rows)


def thousand_table(measured: dict[str, Any]) -> str:
    seen = measured["thousand"]
    rows = [[name, f"{rate:,.0f}", f"{seen['ratios'][name]:.1f} x"] for name, rate in seen["rates"].items()]
    rows += [[name, "not measured", why] for name, why in seen["skipped"].items()]
    return page.aligned([f"{seen['rows']:,} rows a request", "rows/s", "by mlflow's records"], rows)


def starts_table(measured: dict[str, Any]) -> str:
    rows = [
        [
            name,
            f"{seen['seconds']:.1f} s",
            f"{seen['ratio']:.2f} x",
            f"{seen['cpu']:.1f} s",
            f"{seen['rss']:.0f} MB",
            f"{seen['pss']:.0f} MB",
        ]
        for name, seen in measured["starts"].items()
    ]
    return page.aligned(["start", "first prediction", "ours by it", "CPU", "RSS", "PSS"], rows)


def section(measured: dict[str, Any]) -> str:
    crowd = measured["crowd"]
    statuses = ", ".join(f"{count:,} of {status}" for status, count in sorted(crowd["statuses"].items()))
    about = prose(f"""The same fitted HistGradientBoosting with 100 trees behind every server,
        {measured["bodies"]} different rows in turn, {measured["rounds"]} interleaved rounds, the server on
        one core, wrk on another, every other server stopped. Each gave our predictions of each row before
        it was measured (largest relative difference {measured["apart"]:.1e}). Ratios are medians of the
        rounds' ratios, since a busy neighbour slows a whole round; only they say anything about another
        machine.""")
    who = prose("""The peers have the pipeline that a user would write there: pandas features and a
        ColumnTransformer, a data frame a request, one worker, otherwise as they come. FastAPI echo
        validates with the request model that we validate with and answers in the same form, in an async
        function, and predicts nothing; raw ASGI echo under the same uvicorn sends the body back. 32
        connections; requests/s and CPU are of the server's whole process tree.""")
    many = prose(f"""Two connections, requests of {measured["thousand"]["rows"]:,} rows; MLflow's with its
        pandas pipeline. Ours logs every prediction, and the process that packs the log shares the core; no
        other server keeps a log.""")
    limits = prose(f"""256 connections for {crowd["seconds"]:.0f} s: {crowd["rate"]:,.0f} requests/s, p99
        {crowd["p99"] * 1e3:,.0f} ms, slowest {crowd["slowest"]:.2f} s where the limit is
        {crowd["limit"]:.0f} s; answers: {statuses}.""")
    starts = prose("""From the command to the first prediction, files in the page cache, in turn; ours
        verifies every file and replays the version's proof, which a promotion did before in a process of
        its own.""")
    how = prose(f"""{measured["cpu"]}. {page.versions(measured)}. Again: `make bench-serving`.""")
    parts = ["## Serving", about, promises_table(measured), who, servers_table(measured)]
    parts += [prose(f"{name} is left out: {why}") for name, why in measured["missing"].items()]
    parts += [many, thousand_table(measured), limits, starts, starts_table(measured), how]
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    sys.exit(page.run("serving", Path(__file__).with_name("measure.py"), section, broken))
