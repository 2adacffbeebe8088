"""What ACRO (PyPI `acro`, a development tool only) and the gate withhold on the same
tables, as a table for docs/benchmarks.md. ACRO judges rows and adds nothing that
protects by subtraction, so the last column counts what it withholds and its published
totals give away all the same (gauss.py).

    python tests/utility/against_acro.py SETS.json FATES.jsonl
"""

import contextlib
import io
import json
import logging
import pathlib
import sys

import gauss
import tables

logging.disable(logging.CRITICAL)
with contextlib.redirect_stdout(io.StringIO()):
    from acro import ACRO


def withheld_by_acro(acro, frame, table):
    """Keys (positions, None for a margin) that ACRO leaves out, of the whole domain."""
    dims = [axis["name"] for axis in table["dimensions"]]
    columns = [frame[d] for d in dims[1:]]
    of = {} if ":" not in table["measures"][0] else {"values": frame[table["measures"][0].split(":")[1]], "aggfunc": "sum"}
    with contextlib.redirect_stdout(io.StringIO()):
        shown = acro.crosstab(frame[dims[0]], columns if len(columns) > 1 else columns[0], margins=True, **of)
    codes = {d: sorted(frame[d].dropna().unique().tolist()) for d in dims}
    numbers = {}
    for row, line in shown.iterrows():
        for column, value in line.items():
            parts = [row, *(column if isinstance(column, tuple) else (column,))]
            key = tuple(None if p in ("All", "") else codes[d].index(p) for d, p in zip(dims, parts))
            numbers[key] = value
    # ACRO prints no margins but the last row and column: what it does not print is withheld.
    return {key for key in gauss.keys(table) if not numbers.get(key, float("nan")) == numbers.get(key)}


def main():
    sets = json.loads(pathlib.Path(sys.argv[1]).read_text())
    fates = [json.loads(line) for line in pathlib.Path(sys.argv[2]).read_text().splitlines()]
    fates = {fate["name"]: fate for fate in fates}
    data = tables.load()
    acro = ACRO(suppress=True)
    print("| table | cells | withheld: ACRO | the gate | inner cells: ACRO | the gate | published of the inner total: ACRO | the gate | withheld by ACRO and given away |")
    print("|---|---|---|---|---|---|---|---|---|")
    for one in sets:
        if len(one["tables"]) > 1 or len(one["tables"][0]["dimensions"]) > 2 or one["name"] not in fates:
            continue
        table, fate = one["tables"][0], fates[one["name"]]
        frame = data[{"R": "randhie", "C": "census", "A": "charities", "S": "microdata1"}[one["name"][0]]]
        theirs = withheld_by_acro(acro, frame, table)
        cells = fate["cells"][0]
        ours = {tuple(key) for i, (key, why) in enumerate(cells) if why or i in fate["secondary"]["audited"][0]}
        magnitude = ":" in table["measures"][0]
        value = {tuple(c["key"]): c["measures"][0]["sum"] if magnitude else c["rows"] for c in table["cells"]}
        inner = [k for k in gauss.keys(table) if None not in k]
        total = sum(value.get(k, 0) for k in inner)
        share = lambda out: 100 * sum(value.get(k, 0) for k in inner if k not in out) / total
        matrix, order = gauss.vectors([table]), list(gauss.keys(table))
        published = {i for i, k in enumerate(order) if k not in theirs}
        betrayed = sum(gauss.follows(matrix, published, i) for i, k in enumerate(order) if k in theirs)
        of_inner = lambda out: sum(k in out for k in inner)
        print(f"| {one['name']} | {len(order)} | {len(theirs)} | {len(ours)} | {of_inner(theirs)} | {of_inner(ours)} "
              f"| {share(theirs):.1f} % | {share(ours):.1f} % | {betrayed} |")


if __name__ == "__main__":
    main()
