"""The glue from the ABI's three calls to one function. `sluice guest build` makes
the component of it; an author has no need to read it."""

from componentize_py_types import Err
from wit_world.exports.inner_room import Batch, Column

from sluice import guest


class InnerRoom:
    """World `inner`."""

    def start(self, params, state):
        made = guest.Room({}, state)
        for name, value in params:
            if name.startswith("input."):
                made.inputs[name[6:]] = guest.Rows(guest._schema(value))
            else:
                made.params[name] = value
        _ROOM.append(made)

    def process(self, input, rows):
        inputs = list(_ROOM[0].inputs.values())
        _told(lambda: inputs[input]._push(rows))

    def finish(self):
        rows, columns = _told(lambda: guest._run(_ROOM[0]))
        return Batch(rows, [Column(0, None, offsets, data) for offsets, data in columns])


# The bindings make an object for each call, so the room lies here. One instance
# lives for one unit: this starts empty for each of them.
_ROOM = []


# Of a deep recursion the innermost places say enough.
_PLACES_MAX = 12


def _told(work):
    try:
        return work()
    except Exception as error:
        text = "\n    ".join([f"{type(error).__name__}: {error}", *_places(error)])
    raise Err(text)


def _places(error):
    """Where the author's code was, innermost first: `wage_gap.py:12 in gap`."""
    places, at = [], error.__traceback__
    while at:
        code = at.tb_frame.f_code
        file = code.co_filename.rsplit("/", 2)
        if file[-2:-1] != ["sluice"]:
            places.append(f"{file[-1]}:{at.tb_lineno} in {code.co_name}")
        at = at.tb_next
    return places[: -_PLACES_MAX - 1 : -1]
