"""Write a Sluice job in Python: typed rows in, contributions out.

A guest is one function over the rows of one privacy unit (or one block of them)::

    from sluice import guest

    @guest.table(dimensions={"plan": int}, measures=["visits"])
    def visits(room):
        for row in room.rows:
            if row["plan"] is not None and row["mdvis"] is not None:
                yield {"plan": row["plan"], "visits": row["mdvis"]}

The same function runs in plain Python, so its logic has plain unit tests:
``list(visits(guest.room(claims={"plan": ("int", [1]), "mdvis": ("float", [2.0])})))``.

In the room there is no clock, no randomness, no file, no network and no memory of
the unit before. Modules are imported at the top of a file: the component is made
when they have loaded, and nothing can be loaded afterwards. An exception fails
the unit; the host puts its declared default there and shows the text to nobody.
"""

import struct
from decimal import Decimal

__all__ = ["Room", "Rows", "room", "table"]

_TABLES = []


def table(*, dimensions, measures, name=None):
    """Makes a function ``f(room)`` a table of the job.

    ``dimensions`` maps each dimension's name to ``int`` or ``str``, in the contract's
    order; ``measures`` are names. The function yields (or returns) dictionaries with
    one value for each. A file with several tables names them as the contract does,
    by the function's name or ``name``.
    """
    for key, kind in dimensions.items():
        if kind not in (int, str):
            raise TypeError(f"dimension `{key}` is of type int or str")

    def register(function):
        _TABLES.append((name or function.__name__, function, dict(dimensions), sorted(measures)))
        return function

    return register


def room(params=None, state=b"", **inputs):
    """A room made by hand, for unit tests: each input maps a column's name to
    ``(type, values)``, with ``None`` for a missing value."""
    made = Room(dict(params or {}), state)
    for name, columns in inputs.items():
        rows = Rows([(column, kind) for column, (kind, _) in columns.items()])
        for column, (_, values) in columns.items():
            rows._values[column] = list(values)
        lengths = {len(values) for values in rows._values.values()}
        if len(lengths) > 1:
            raise ValueError(f"the columns of `{name}` differ in length")
        rows._length = lengths.pop() if lengths else 0
        made.inputs[name] = rows
    return made


class Room:
    """Everything a job may read."""

    def __init__(self, params, state):
        #: The job file's ``[params]``, and the host's own ``table`` and ``round``.
        self.params = params
        #: What the outer room handed back after the round before; empty in round 0.
        self.state = state
        #: The rows of each ``[inputs.<name>]``, by name.
        self.inputs = {}

    @property
    def rows(self):
        """The rows of the job's only (or first) input."""
        for rows in self.inputs.values():
            return rows
        raise LookupError("the job has no input")

    @property
    def round(self):
        """The number of the round, from 0."""
        return int(self.params.get("round", "0"))


class Rows:
    """The rows of one input: iterate over them as dictionaries, or take a column as
    a list with ``rows.column("year")``. A missing value is ``None``.

    int, float, bool and str come as such, and a decimal as an exact ``Decimal``; a
    date as days since 1970-01-01, a timestamp as microseconds since then, in UTC; a
    list as a list of int, float or str.
    """

    def __init__(self, schema):
        self.schema = schema
        self._batches = []
        self._length = 0
        self._values = {}

    def __len__(self):
        return self._length

    def __iter__(self):
        names = [name for name, _ in self.schema]
        if not names:
            return iter({} for _ in range(self._length))
        return (dict(zip(names, values)) for values in zip(*map(self.column, names)))

    def column(self, name):
        """The values of column ``name``."""
        if name not in self._values:
            for at, (known, kind) in enumerate(self.schema):
                if known == name:
                    read = _reader(name, kind)
                    values = []
                    for batch in self._batches:
                        values += _masked(read, batch.columns[at], batch.rows)
                    self._values[name] = values
                    break
            else:
                raise LookupError(f"there is no column `{name}`")
        return self._values[name]

    def _push(self, batch):
        if len(batch.columns) != len(self.schema):
            raise ValueError("a batch does not fit its schema")
        self._batches.append(batch)
        self._length += batch.rows


# How each type of the ABI is read: (column, rows) -> values, without regard to nulls.
# wasm is little-endian, as the ABI is.
def _fixed(code):
    return lambda column, rows: memoryview(column.data).cast(code).tolist()[:rows]


def _bits(data, rows):
    return [data[row >> 3] >> (row & 7) & 1 == 1 for row in range(rows)]


def _ends(column, first, count):
    return memoryview(column.offsets).cast("i")[first : first + count + 1].tolist()


def _texts(column, count, first=0):
    ends = _ends(column, first, count)
    return [str(column.data[ends[at] : ends[at + 1]], "utf-8") for at in range(count)]


# ``values(column, count, first)`` are all lists' values together; the offsets of texts
# begin with number `first`, after those of the lists.
def _lists(values):
    def read(column, rows):
        ends = _ends(column, 0, rows)
        flat = values(column, ends[-1], rows + 1)
        return [flat[ends[row] : ends[row + 1]] for row in range(rows)]

    return read


# Exact in all 38 digits: arithmetic on a ``Decimal`` would round to 28.
def _decimals(scale):
    def read(column, rows):
        units = (int.from_bytes(column.data[16 * row : 16 * row + 16], "little", signed=True) for row in range(rows))
        return [Decimal(f"{unit}E-{scale}") for unit in units]

    return read


def _reader(name, kind):
    if kind.startswith("decimal-"):
        return _decimals(int(kind.rsplit("-", 1)[1]))
    if kind not in _READ:
        raise TypeError(f"column `{name}` is of type `{kind}`, which this SDK does not read")
    return _READ[kind]


_READ = {
    "null": lambda column, rows: [None] * rows,
    "int": _fixed("q"),
    "float": _fixed("d"),
    "date": _fixed("i"),
    "bool": lambda column, rows: _bits(column.data, rows),
    "text": _texts,
    "timestamp": _fixed("q"),
    "list-int": _lists(lambda column, count, first: _fixed("q")(column, count)),
    "list-float": _lists(lambda column, count, first: _fixed("d")(column, count)),
    "list-text": _lists(_texts),
}


def _masked(read, column, rows):
    values = read(column, rows)
    if len(values) != rows:
        raise ValueError("a batch does not fit its schema")
    if column.validity is None:
        return values
    present = _bits(column.validity, rows)
    return [value if there else None for value, there in zip(values, present)]


def _schema(text):
    return [tuple(part.rsplit(":", 1)) for part in text.split(",") if part]


def _run(made):
    """The asked-for table's columns: ``(rows, [(offsets or None, data)])``."""
    wanted = made.params.get("table")
    found = [t for t in _TABLES if t[0] == wanted] or (_TABLES if len(_TABLES) == 1 else [])
    if not found:
        raise LookupError(f"this guest has no table `{wanted}`")
    _, function, dimensions, measures = found[0]
    rows = function(made) or []
    rows = [rows] if isinstance(rows, dict) else list(rows)
    known = {*dimensions, *measures}
    for row in rows:
        if row.keys() != known:
            raise ValueError(f"an output row has the keys {sorted(row)}, not {sorted(known)}")
    columns = [_keys(name, kind, [row[name] for row in rows]) for name, kind in dimensions.items()]
    columns += [(None, struct.pack(f"<{len(rows)}d", *(row[name] for row in rows))) for name in measures]
    return len(rows), columns


def _keys(name, kind, values):
    if not all(isinstance(value, kind) for value in values):
        raise TypeError(f"a key of `{name}` is not of type {kind.__name__}")
    if kind is int:
        return None, struct.pack(f"<{len(values)}q", *values)
    words = [value.encode() for value in values]
    ends = [0]
    for word in words:
        ends.append(ends[-1] + len(word))
    return struct.pack(f"<{len(ends)}i", *ends), b"".join(words)
