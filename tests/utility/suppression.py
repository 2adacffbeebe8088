"""Our secondary suppression against Gaussian elimination (gauss.py) on the same
primary cells: a table of counts and ratios, as it stands in docs/benchmarks.md.

    python tests/utility/suppression.py SETS.json FATES.jsonl
"""

import json
import pathlib
import sys

import gauss


def main():
    sets = json.loads(pathlib.Path(sys.argv[1]).read_text())
    fates = [json.loads(line) for line in pathlib.Path(sys.argv[2]).read_text().splitlines()]
    fates = {fate["name"]: fate for fate in fates}
    print("| tables | cells | primary | GaussSuppression | ours: elimination alone | with unions and lone contributors | all, audited | ratio | seconds, all three depths |")
    print("|---|---|---|---|---|---|---|---|---|")
    totals, seconds = [0] * 6, 0.0
    for one in sets:
        fate = fates.get(one["name"])
        if fate is None:
            continue
        matrix = gauss.vectors(one["tables"])
        primary, value, at = set(), [], 0
        for table, cells in zip(one["tables"], fate["cells"]):
            found = {tuple(cell["key"]): cell for cell in table["cells"]}
            for (key, reasons), expected in zip(cells, gauss.keys(table)):
                assert tuple(key) == expected
                cell = found.get(tuple(key))
                magnitude = ":" in table["measures"][0]
                value.append(0 if cell is None else cell["measures"][0]["sum"] if magnitude else cell["rows"])
                if reasons:
                    primary.add(at)
                at += 1
        theirs = len(gauss.suppress(matrix, primary, value))
        ours = [sum(map(len, fate["secondary"][depth])) for depth in ("elimination", "unions", "audited")]
        row = [at, len(primary), theirs, *ours]
        totals = [a + b for a, b in zip(totals, row)]
        seconds += fate["seconds"]
        ratio = f"{ours[-1] / theirs:.2f}" if theirs else "–"
        print(f"| {one['name']} |", " | ".join(map(str, row)), f"| {ratio} | {fate['seconds']:.1f} |")
    print("| **all** |", " | ".join(map(str, totals)), f"| **{totals[-1] / totals[2]:.2f}** | {seconds:.1f} |")


if __name__ == "__main__":
    main()
