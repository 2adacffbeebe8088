"""The table of tests/forms in Python."""

from sluice import guest


@guest.table(dimensions={"t": str, "n": int}, measures=["x", "flag", "days"])
def form(room):
    for row in room.inputs["people"]:
        t, n = row["t"], row["n"]
        if t is None or n is None:
            continue
        if t == room.params.get("fail"):
            raise ValueError("told to fail")
        while t == room.params.get("spin"):
            pass
        flag = {True: 1, False: 2, None: 3}[row["b"]]
        yield {"t": t, "n": n, "x": -0.5 if row["x"] is None else row["x"], "flag": flag, "days": row["d"] or 0}
    if "zmore" in room.inputs:
        yield {"t": "多", "n": len(room.inputs["zmore"]), "x": 0, "flag": 0, "days": 0}
