"""The table of tests/forms in Python."""

from sluice import guest

# Units that this module has seen: a fresh instance begins at none.
SEEN = []


def deep(n):
    return 1 + deep(n + 1)


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
        if t == room.params.get("deep"):
            deep(0)
        if t == room.params.get("seen"):
            SEEN.append(t)
            n = len(SEEN)
        if t == room.params.get("beyond"):
            n += 1 << 64
        flag = {True: 1, False: 2, None: 3}[row["b"]]
        yield {"t": t, "n": n, "x": -0.5 if row["x"] is None else row["x"], "flag": flag, "days": row["d"] or 0}
    if "wide" in room.inputs:
        yield from wide(room.inputs["wide"])


def wide(rows):
    for row in rows:
        c, m, i, f, w = (row[name] for name in "cmifw")
        yield {
            "t": "无" if w is None else "".join(f"[{word}]" for word in w),
            "n": -1 if c is None else int(c * 100),
            "x": (0.5 if i is None else 1000 * sum(i)) + (0.25 if f is None else sum(f)),
            "flag": -1 if c is None else float(c),
            "days": -1 if m is None else m,
        }
    yield {"t": "空", "n": rows.column("z").count(None), "x": 0, "flag": 0, "days": 0}
