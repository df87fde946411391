# /// script
# requires-python = ">=3.11"
# dependencies = ["dagster>=1.13,<2", "dagster-webserver>=1.13,<2"]
# ///
"""The daily run as a Dagster asset: a thin call of `ml run`, retried while the day is not there, and not when it fails.

Dagster has an environment of its own (requirements.txt), and finds the project two folders above this file, or where
ML_PROJECT says. A partition is a day; a range of them is one call of `ml backfill`, which skips what is done.
"""

import os
import subprocess
from pathlib import Path

import dagster as dg

FIRST_DAY = "2026-06-01"  # partitions begin here
HOUR = 6  # in UTC, of the day after
ASK_AGAIN = 15 * 60  # seconds, for a day at most; past daily.deadline of operations.yaml, `ml run` itself ends it

PROJECT = Path(os.environ.get("ML_PROJECT") or Path(__file__).resolve().parents[2])
NOT_YET = 4


@dg.asset(
    partitions_def=dg.DailyPartitionsDefinition(start_date=FIRST_DAY, timezone="UTC"),
    backfill_policy=dg.BackfillPolicy.single_run(),  # without it, a range of partitions is refused
)
def ml_day(context: dg.AssetExecutionContext) -> None:
    first, last = context.partition_key_range
    days = ["run", "--date", first] if first == last else ["backfill", "--from", first, "--to", last]
    code = subprocess.run(["uv", "run", "--locked", "ml", *days], cwd=PROJECT, check=False).returncode
    if code == NOT_YET:
        raise dg.RetryRequested(max_retries=24 * 3600 // ASK_AGAIN, seconds_to_wait=ASK_AGAIN)
    if code:
        raise dg.Failure(f"ml {' '.join(days)}: exit {code}, which no retry mends", allow_retries=False)


ml_daily = dg.define_asset_job("ml_daily", selection=[ml_day])
schedule = dg.build_schedule_from_partitioned_job(
    ml_daily, hour_of_day=HOUR, default_status=dg.DefaultScheduleStatus.RUNNING
)
# One process is enough: the work is done in a process of the project's own.
definitions = dg.Definitions(assets=[ml_day], jobs=[ml_daily], schedules=[schedule], executor=dg.in_process_executor)
