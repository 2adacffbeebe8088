"""People and doctor visits per plan: one row for each person who has a plan."""

from sluice import guest


@guest.table(dimensions={"plan": int}, measures=["persons", "visits"])
def visits(room):
    plans = [plan for plan in room.rows.column("plan") if plan is not None]
    if plans:
        total = sum(row["mdvis"] for row in room.rows if row["mdvis"] is not None)
        yield {"plan": plans[0], "persons": 1, "visits": total}
