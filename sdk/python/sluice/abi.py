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


def _told(work):
    try:
        return work()
    except Exception as error:
        raise Err(f"{type(error).__name__}: {error}") from None
