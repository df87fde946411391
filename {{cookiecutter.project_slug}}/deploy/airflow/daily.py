# /// script
# requires-python = ">=3.11"
# dependencies = ["apache-airflow>=3.2,<4"]
# ///
"""The daily run as an Airflow DAG: a thin call of `ml run`, retried while the day is not there, and not when it fails.

Airflow has an environment of its own (requirements.txt), and finds the project two folders above this file, or where
ML_PROJECT says. A run's logical date is the day that it is about, so a backfill takes the days themselves.
"""

import os
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

from airflow.providers.standard.sensors.date_time import DateTimeSensor
from airflow.sdk import CronDataIntervalTimetable, dag, task
from airflow.sdk.exceptions import AirflowException, AirflowFailException

# Switched on, Airflow makes up for every day since this one. Earlier days: `airflow backfill create`, which may; a run
# that is triggered by hand for a day before it has no tasks, and is green.
FIRST_DAY = datetime(2026, 6, 1, tzinfo=UTC)
HOUR = 6  # in UTC, of the day after
ASK_AGAIN = timedelta(minutes=15)  # for a day at most; past daily.deadline of operations.yaml, `ml run` itself ends it

PROJECT = Path(os.environ.get("ML_PROJECT") or Path(__file__).resolve().parents[2])
NOT_YET = 4


@dag(
    dag_id="ml_daily",
    schedule=CronDataIntervalTimetable("0 0 * * *", timezone="UTC"),  # an interval is the partition: one day in UTC
    start_date=FIRST_DAY,
    catchup=True,
    max_active_runs=1,  # one day after the other
    # What no retry mends says so below. Airflow's own troubles are retried as well: an API that is away for a minute.
    default_args={"retries": timedelta(days=1) // ASK_AGAIN, "retry_delay": ASK_AGAIN},
)
def daily() -> None:
    @task
    def run(ds: str | None = None) -> None:
        day = ["--date", ds] if ds else []  # without one, `ml run` takes yesterday
        try:
            code = subprocess.run(["uv", "run", "--locked", "ml", "run", *day], cwd=PROJECT, check=False).returncode
        except OSError as error:  # no uv, or no project
            raise AirflowFailException(str(error)) from error
        if code == NOT_YET:
            raise AirflowException("not there yet")
        if code:
            raise AirflowFailException(f"ml run: exit {code}, which no retry mends")

    due = f"{{{{ data_interval_end.add(hours={HOUR}) if data_interval_end else dag_run.run_after }}}}"
    DateTimeSensor(task_id="wait_for_the_hour", target_time=due, mode="reschedule", poke_interval=300) >> run()


daily()
