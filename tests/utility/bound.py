"""How few cells any pattern must withhold besides the primary ones: a lower bound, by the
cuts of Fischetti and Salazar (2001).

A pattern s (1 = withheld) lets primary cell t reach b exactly when a linear programme
over the unknowns x >= 0 has a value of at least b; the dual solution of one that falls
short is an inequality that every good enough s satisfies. That t is no combination of
what is published, for somebody who knows e too, is broken by a combination; one of its
cells must be withheld. Under these inequalities an integer programme over s (HiGHS) is
solved again and again: what it says at any time is a lower bound, and when nothing is
violated any more it is the least.

First for the intervals of the spec alone (0 and k for a count below k, p.x1 to either
side of a magnitude), then with lone contributors as well, and with "more than one value"
for unsafe magnitudes of zero. Class disclosure, unions of more than one cell, and what
the secondary cells themselves need are left out; they can only raise it.

    python tests/utility/bound.py SETS.json FATES.jsonl [SECONDS a set]
"""

import json
import pathlib
import sys
import time

import gauss
import numpy as np
from scipy.optimize import Bounds, LinearConstraint, linprog, milp
from scipy.sparse import csr_matrix, vstack

K, P = 10, 0.1
MANY = 1e6


def cells(one, fate):
    """The matrix of a set, each cell's value, and what each primary cell must reach."""
    matrix, value, primary, goals, zero, alone = gauss.vectors(one["tables"]), [], set(), [], [], []
    for table, verdicts in zip(one["tables"], fate["cells"]):
        found = {tuple(cell["key"]): cell for cell in table["cells"]}
        magnitude = ":" in table["measures"][0]
        for key, reasons in verdicts:
            cell, at = found.get(tuple(key)), len(value)
            stats = cell["measures"][0] if cell and magnitude else None
            value.append(stats["sum"] if stats else 0.0 if magnitude or not cell else cell["rows"])
            if not reasons:
                continue
            primary.add(at)
            if cell and cell["units"] == 1:
                alone.append(at)
            if not magnitude and {"threshold", "zero"} & set(reasons):
                goals += [(at, 1, K), (at, -1, 0)]
            elif stats and stats["top"][0] > 0 and not stats["negative"]:
                reach = P * stats["top"][0]
                goals += [(at, 1, value[at] + reach), (at, -1, max(0.0, value[at] - reach))]
            elif magnitude and value[at] == 0:
                zero.append(at)
    value = np.array(value, dtype=float)
    goals = [g for g in goals if g[1] * (g[2] - value[g[0]]) > 1e-9]
    zero = [(at, 1, value[value > 0].min() / 2) for at in zero]
    return matrix, value, primary, goals, zero, alone


def short_of(goals, matrix, fixed, both, scale, s, end):
    """Cuts that `s` violates, for the intervals of `goals`."""
    cuts = []
    for at, sign, goal in goals:
        if time.time() > end:
            break
        limit = np.concatenate([fixed + MANY * scale * s, -(fixed * (1 - s))])
        answer = linprog(-sign * matrix[at], both, limit / scale, method="highs")
        if answer.status != 0 or sign * goal / scale + answer.fun <= 1e-7 * max(1.0, abs(goal) / scale):
            continue
        dual = -answer.ineqlin.marginals
        up, down = dual[: len(fixed)], dual[len(fixed) :]
        missing = sign * goal / scale - (fixed / scale) @ (up - down)
        if missing <= 1e-9:
            continue
        cut = np.minimum(1.0, np.where(up > 1e-9, 1.0, fixed / scale * down / missing))
        if cut @ s < 1 - 1e-6:
            cuts.append(cut)
    return cuts


def betrayals(matrix, others, primary, alone, s, end):
    """Cuts that `s` violates, for the primary cells and what lone contributors know."""
    published = matrix[others[s < 0.5]].astype(float)
    _, sizes, base = np.linalg.svd(published)
    null = base[(sizes > 1e-9).sum() :]
    drawn = null.T @ np.random.default_rng(1).standard_normal((len(null), 2))
    images = {i: matrix[i] @ drawn for i in primary if matrix[i].any()}
    empty = {i for i, image in images.items() if np.abs(image).max() < 1e-9}
    open_ = [(t, None) for t in empty]
    for e in alone:
        for t in images:
            if t != e and (matrix[t] != matrix[e]).any() and (t in empty or abs(np.linalg.det([images[t], images[e]])) < 1e-9):
                open_.append((t, e))
    cuts = []
    for t, e in open_[:200]:
        if time.time() > end:
            break
        known = matrix[others].T.astype(float)
        cost = 1e-6 + s
        columns = np.hstack([known, -known] + ([matrix[[e]].T, -matrix[[e]].T] if e is not None else []))
        costs = np.concatenate([cost, cost] + ([[0, 0]] if e is not None else []))
        answer = linprog(costs, A_eq=csr_matrix(columns), b_eq=matrix[t], method="highs")
        if answer.status != 0:
            continue
        parts = answer.x[: len(others)] + answer.x[len(others) : 2 * len(others)]
        cut = (parts > 1e-9).astype(float)
        if cut @ s < 1 - 1e-6 and cut.any():
            cuts.append(cut)
    return cuts


def bound(matrix, value, primary, goals, alone, seconds):
    """(lower bound, whether it is the least); `alone` is None where only intervals count."""
    others = np.array([i for i in range(len(matrix)) if i not in primary])
    rows = csr_matrix(matrix[others].astype(float))
    both = vstack([rows, -rows]).tocsr()
    scale = max(1.0, value.max())
    cuts = []
    end, least, whole, s = time.time() + seconds, 0, False, np.zeros(len(others))
    while time.time() < end:
        new = short_of(goals, matrix, value[others], both, scale, s, end)
        if alone is not None and (whole or not new):
            new += betrayals(matrix, others, primary, alone, s, end)
        if time.time() > end:
            break
        if not new:
            if whole:
                return least, True
            whole = True
        cuts += new
        if not cuts:
            return 0, True
        answer = milp(
            np.ones(len(others)),
            integrality=np.full(len(others), 1 if whole else 0),
            bounds=Bounds(0, 1),
            constraints=LinearConstraint(csr_matrix(np.array(cuts)), lb=1),
            options={"time_limit": max(1.0, end - time.time())},
        )
        known = answer.mip_dual_bound if whole else answer.fun
        if known is not None:
            least = max(least, int(np.ceil(known - 1e-6)))
        if answer.x is None:
            break
        s = answer.x.round() if whole else answer.x
    return least, False


def main():
    sets = json.loads(pathlib.Path(sys.argv[1]).read_text())
    fates = [json.loads(line) for line in pathlib.Path(sys.argv[2]).read_text().splitlines()]
    fates = {fate["name"]: fate for fate in fates}
    seconds = float(sys.argv[3]) if len(sys.argv) > 3 else 60.0
    print("| tables | intervals alone: at least | with lone contributors: at least | ours |")
    print("|---|---|---|---|")
    for one in sets:
        if one["name"] not in fates:
            continue
        fate = fates[one["name"]]
        matrix, value, primary, goals, zero, alone = cells(one, fate)
        ways = [(goals, None), (goals + zero, alone)]
        found = [bound(matrix, value, primary, wanted, known, seconds) for wanted, known in ways]
        ours = sum(map(len, fate["secondary"]["audited"]))
        shown = " | ".join(f"{least}{'' if exact else '+'}" for least, exact in found)
        print(f"| {one['name']} | {shown} | {ours} |", flush=True)


if __name__ == "__main__":
    main()
