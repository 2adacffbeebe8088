"""Table sets over the public data in tests/data and tests/cases/data, tabulated by pandas.

Every cell of the declared domain, margins included, with the statistics the rules
need: rows, units, sums per unit, the two largest. Writes JSON for `suppress.rs`.
It judges nothing.

    python tests/utility/tables.py SETS.json
"""

import itertools
import json
import pathlib
import sys

import pandas as pd

DATA = pathlib.Path(__file__).resolve().parents[1] / "data"
CASES = DATA.parent / "cases" / "data"


def load():
    """The two data sets, dimension columns as strings, binnings added."""
    rand = pd.read_parquet(DATA / "randhie.parquet")
    rand = rand.rename(columns={"zper": "unit"})
    rand["age5"] = pd.cut(rand.xage, [-1, 5, 10, 15, 20, 25, 30, 35, 40, 45, 50, 55, 60, 120], labels=False)
    rand["age3"] = rand.age5.map(lambda b: 0 if b < 3 else 1 if b < 8 else 2)
    census = pd.read_parquet(DATA / "census_income.parquet").rename(columns={"person_id": "unit"})
    census["age5"] = (census.age // 5).clip(upper=17)
    census["age20"] = census.age5 // 4
    charities = pd.read_csv(CASES / "acro_charities.csv").rename(columns={"charity": "unit"})
    microdata1 = pd.read_csv(CASES / "sdctable_microdata1.csv").assign(unit=lambda d: d.index)
    return {"randhie": rand, "census": census, "charities": charities, "microdata1": microdata1}


def stats(frame, column):
    """Statistics of one measure in the rows of one cell."""
    values = frame[["unit", column]].dropna()
    sums = values.groupby("unit", sort=False)[column].sum()
    top = sums.loc[sums.abs().nlargest(2).index].tolist() + [0.0, 0.0]
    return {
        "count": int(len(values)),
        "units": int(len(sums)),
        "sum": float(values[column].sum()),
        "abs_sum": float(sums.abs().sum()),
        "top": [float(top[0]), float(top[1])],
        "negative": bool((values[column] < 0).any()),
        "all_same": bool(sums.nunique() <= 1),
    }


def table(frame, dims, measures, totals=True, base=None):
    """One table. `base` names, of a coarser dimension, the column of its finest parts."""
    base = base or {}
    codes = {d: sorted(frame[d].dropna().unique().tolist()) for d in list(dims) + list(base.values())}
    number = {d: {c: i for i, c in enumerate(codes[d])} for d in codes}
    axes = []
    for d in dims:
        axis = {"name": d, "codes": len(codes[d]), "base": None}
        if d in base:
            of = frame.groupby(base[d])[d].first()
            axis["base"] = [base[d], [number[d][of[part]] for part in codes[base[d]]]]
        axes.append(axis)
    sumless = {"count": 0, "units": 0, "sum": 0.0, "abs_sum": 0.0, "top": [0.0, 0.0], "negative": False, "all_same": False}
    cells = []
    patterns = itertools.product([False, True], repeat=len(dims)) if totals else [(False,) * len(dims)]
    for summed in patterns:
        kept = [d for d, s in zip(dims, summed) if not s]
        groups = frame.groupby(kept, sort=False) if kept else [((), frame)]
        for key, part in groups:
            of = dict(zip(kept, key if isinstance(key, tuple) else (key,)))
            measured = [stats(part, m.split(":")[1]) if ":" in m else sumless for m in measures]
            cells.append({
                "key": [number[d][of[d]] if d in of else None for d in dims],
                "rows": int(len(part)),
                "units": int(part["unit"].nunique()),
                "measures": measured,
            })
    return {"dimensions": axes, "measures": measures, "cells": cells}


def sets():
    """(name, tables) of every comparison."""
    data = load()
    rand, census = data["randhie"], data["census"]
    count, dollars, wage = ["rows"], ["sum:meddol"], ["sum:wage_per_hour"]
    yield "R1 plan × year, counts", [table(rand, ["plan", "year"], count)]
    yield "R2 plan × site, counts", [table(rand, ["plan", "site"], count)]
    yield "R3 site × year × num, counts", [table(rand, ["site", "year", "num"], count)]
    yield "R4 plan × site × year, counts", [table(rand, ["plan", "site", "year"], count)]
    yield "R5 plan × year, Σ inpatient", [table(rand, ["plan", "year"], ["sum:inpdol"])]
    yield "R6 plan × site, Σ medical", [table(rand, ["plan", "site"], dollars)]
    yield "R7 site × year × coins, Σ medical", [table(rand, ["site", "year", "coins"], dollars)]
    yield "R8 age (two levels) × plan, counts", [
        table(rand, ["age5", "plan"], count),
        table(rand, ["age3", "plan"], count, base={"age3": "age5"}),
    ]
    yield "R9 plan × year, site × year, plan × site, linked", [
        table(rand, ["plan", "year"], count),
        table(rand, ["site", "year"], count),
        table(rand, ["plan", "site"], count),
    ]
    yield "C1 education × class, counts", [table(census, ["education", "class_of_worker"], count)]
    yield "C2 education × class × sex, counts", [table(census, ["education", "class_of_worker", "sex"], count)]
    yield "C3 age × education, counts", [table(census, ["age5", "education"], count)]
    yield "C4 age × class × sex, counts", [table(census, ["age5", "class_of_worker", "sex"], count)]
    yield "C5 age (two levels) × class, counts", [
        table(census, ["age5", "class_of_worker"], count),
        table(census, ["age20", "class_of_worker"], count, base={"age20": "age5"}),
    ]
    yield "C6 class × sex, education × sex, class × education, linked", [
        table(census, ["class_of_worker", "sex"], count),
        table(census, ["education", "sex"], count),
        table(census, ["class_of_worker", "education"], count),
    ]
    yield "C7 education × class, Σ wage per hour", [table(census, ["education", "class_of_worker"], wage)]
    yield "C8 age × class, Σ wage per hour", [table(census, ["age5", "class_of_worker"], wage)]
    yield "C9 age in years × class, counts", [table(census, ["age", "class_of_worker"], count)]
    charities, microdata1 = data["charities"], data["microdata1"]
    yield "A1 charities: grant type × survivor, counts", [table(charities, ["grant_type", "survivor"], count)]
    yield "A2 charities: grant type × year, Σ grants", [table(charities, ["grant_type", "year"], ["sum:inc_grants"])]
    yield "A3 charities: survivor × year, Σ costs", [table(charities, ["survivor", "year"], ["sum:total_costs"])]
    yield "S1 microdata1: region × gender, counts", [table(microdata1, ["region", "gender"], count)]
    yield "S2 microdata1: region × gender, Σ val", [table(microdata1, ["region", "gender"], ["sum:val"])]


if __name__ == "__main__":
    out = [{"name": name, "tables": tables} for name, tables in sets()]
    pathlib.Path(sys.argv[1]).write_text(json.dumps(out))
    for one in out:
        print(one["name"], [len(t["cells"]) for t in one["tables"]])
