"""Secondary suppression by Gaussian elimination: our own reading of Langsrud,
"Secondary cell suppression by Gaussian elimination" (PSD 2024) and of the manual of
the R package GaussSuppression. It is a re-implementation, not the package.

Candidates come by the package's default order: by frequency (by the sum for
magnitudes), largest first; ties by the number of inner cells, most first. Each is
reduced by the ones published before; one that is proportional to a primary cell,
reduced alike, is suppressed. Dense arithmetic modulo 2^31 - 1. No treatment of
singletons, which can only add suppressions.
"""

import itertools

import numpy as np

P = 2**31 - 1


def vectors(tables):
    """Each table's cells over the atoms of all: a list of 0/1 arrays, in the order of `keys`."""
    axes = {}
    for table in tables:
        for axis in table["dimensions"]:
            name, parts = axis["name"], axis["codes"]
            if axis["base"]:
                name, parts = axis["base"][0], len(axis["base"][1])
            assert axes.setdefault(name, parts) == parts
    names = list(axes)
    shape = tuple(axes[n] for n in names)
    columns = []
    for table in tables:
        for key in keys(table):
            masks = []
            for name in names:
                mask = np.ones(axes[name], dtype=bool)
                for axis, code in zip(table["dimensions"], key):
                    base = axis["base"]
                    if (base[0] if base else axis["name"]) == name and code is not None:
                        mask &= (np.array(base[1]) == code) if base else (np.arange(axes[name]) == code)
                masks.append(mask)
            full = masks[0]
            for mask in masks[1:]:
                full = np.logical_and.outer(full, mask)
            columns.append(full.reshape(np.prod(shape)))
    matrix = np.array(columns, dtype=np.int64)
    return np.unique(matrix, axis=1)


def keys(table):
    """Every key of the declared domain in the gate's canonical order."""
    sizes = [axis["codes"] for axis in table["dimensions"]]
    margins = any(None in cell["key"] for cell in table["cells"])
    patterns = range(2 ** len(sizes)) if margins else [0]
    for pattern in sorted(patterns, key=lambda p: bin(p).count("1")):
        yield from itertools.product(*[[None] if pattern >> i & 1 else range(n) for i, n in enumerate(sizes)])


def suppress(matrix, primary, value):
    """Positions of the secondary cells; `value` is what candidates are ordered by."""
    terms = matrix.sum(axis=1)
    candidates = [i for i in range(len(matrix)) if i not in primary]
    candidates.sort(key=lambda i: (-value[i], -terms[i], i))
    rows = np.concatenate([matrix[candidates], matrix[sorted(primary)]]) % P
    n = len(candidates)
    rows = rows[:, np.argsort(matrix[sorted(primary)].any(axis=0))] if primary else rows
    out = set()
    for at, cell in enumerate(candidates):
        row = rows[at]
        nonzero = np.flatnonzero(row)
        if len(nonzero) == 0:
            continue
        lead = nonzero[0]
        row = row * pow(int(row[lead]), P - 2, P) % P
        guarded = rows[n:]
        factor = guarded[:, lead][:, None]
        same = (guarded == factor * row % P).all(axis=1) & (factor[:, 0] != 0)
        if same.any():
            out.add(cell)
            continue
        hit = at + 1 + np.flatnonzero(rows[at + 1 :, lead])
        rows[hit] = (rows[hit] - rows[hit, lead][:, None] * row % P) % P
    return out


def follows(matrix, published, target):
    """Whether row `target` is a combination of the `published` rows (for checking)."""
    return rank(matrix[sorted(published)]) == rank(matrix[sorted(published | {target})])


def rank(matrix):
    """Rank modulo P."""
    rows, rank = matrix.copy() % P, 0
    for column in range(rows.shape[1]):
        pivots = rank + np.flatnonzero(rows[rank:, column])
        if len(pivots) == 0:
            continue
        rows[[rank, pivots[0]]] = rows[[pivots[0], rank]]
        lead = rows[rank] * pow(int(rows[rank, column]), P - 2, P) % P
        below = rank + 1 + np.flatnonzero(rows[rank + 1 :, column])
        rows[below] = (rows[below] - rows[below, column][:, None] * lead % P) % P
        rank += 1
    return rank
