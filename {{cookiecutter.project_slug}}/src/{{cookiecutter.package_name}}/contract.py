"""YOURS: the data contract. The one place that names columns, types, bounds, units and meaning.

Training, batch scoring and the API all obey it. Change it together with ``CONTRACT.version``; model versions that are
already registered keep the contract they were trained under.
"""

from __future__ import annotations

import dataframely as dy
import polars as pl

from .spec import Contract, Table, Target, about


class Parcels(dy.Schema):
    """One row a parcel, written when it is handed in."""

    parcel_id = dy.String(
        primary_key=True, min_length=1, max_length=40, metadata=about("the parcel", example="20260601-00042")
    )
    created_at = dy.Datetime(
        time_zone="UTC",
        metadata=about("when the parcel was handed in", unit="UTC", example="2026-06-01T09:30:00Z"),
    )
    depot = dy.String(
        min_length=1,
        max_length=40,
        metadata=about(
            "depot that took the parcel in; new depots open now and then",
            known=["north", "south", "east", "west", "harbour", "airport"],
            unseen_share=0.05,
            example="north",
        ),
    )
    service = dy.Enum(
        ["express", "standard", "economy"], metadata=about("service level that was paid for", example="standard")
    )
    weight_g = dy.Float64(
        min=1,
        max=70_000,
        metadata=about(
            "weight on the depot's scale", unit="g", example=1_850.0, typical={0.05: (30, None), 0.5: (400, 5_000)}
        ),
    )
    distance_km = dy.Float64(
        min=0.1,
        max=3_000,
        metadata=about("road distance to the addressee", unit="km", example=212.5, typical={0.5: (40, 500)}),
    )
    customer_age_days = dy.Float64(
        nullable=True,
        min=0,
        max=20_000,
        metadata=about("days since the sender's first parcel; null for walk-in senders", unit="d", example=730.0),
    )
    fragile = dy.Bool(metadata=about("sender declared it fragile", example=False))
    promised_hours = dy.Float64(
        min=1,
        max=240,
        metadata=about("delivery time printed on the receipt", unit="h", example=48.0, typical={0.5: (12, 96)}),
    )


class Deliveries(dy.Schema):
    """One row a delivered parcel, written on the day it was delivered: the labels."""

    parcel_id = dy.String(
        primary_key=True, min_length=1, max_length=40, metadata=about("the parcel", example="20260601-00042")
    )
    delivered_at = dy.Datetime(time_zone="UTC", metadata=about("when the parcel was delivered", unit="UTC"))
    delivered_hours = dy.Float64(
        min=0.1,
        max=120,
        metadata=about("hours from handing in to delivery", unit="h", example=39.4, typical={0.5: (10, 90)}),
    )


CONTRACT = Contract(
    version="1",
    rows=Table("parcels", Parcels, time="created_at"),
    labels=Table("deliveries", Deliveries, time="delivered_at", tolerated={"delivered_hours|max": 0.005}),
    labels_complete_after=5,
    targets={
        "delivered_hours": Target(
            value=pl.col("delivered_hours"),
            task="regression",
            meaning="hours from handing in to delivery",
            unit="h",
        ),
        "late": Target(
            value=pl.col("delivered_hours") > pl.col("promised_hours"),
            task="classification",
            meaning="delivered after the promised time",
        ),
    },
)
