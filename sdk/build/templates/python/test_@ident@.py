import unittest

from @ident@ import visits
from sluice import guest


class Visits(unittest.TestCase):
    def test_visits_add_up_under_the_first_plan(self):
        room = guest.room(claims={"plan": ("int", [3, 3]), "mdvis": ("int", [2, None])})
        self.assertEqual(list(visits(room)), [{"plan": 3, "persons": 1, "visits": 2}])


if __name__ == "__main__":
    unittest.main()
