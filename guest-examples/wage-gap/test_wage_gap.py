import unittest

from sluice import guest
from wage_gap import gap


def answer(people):
    sexes, wages = [sex for sex, _ in people], [wage for _, wage in people]
    return list(gap(guest.room(persons={"sex": ("text", sexes), "wage_per_hour": ("int", wages)})))


class Gap(unittest.TestCase):
    def test_it_is_the_median_of_all_differences(self):
        people = [("Male", 900), ("Male", 700), ("Female", 500), ("Female", 600), ("Male", 999_900)]
        # 100, 200, 300, 400 and two that a typing error made huge.
        self.assertEqual(answer(people), [{"gap": 3.5}])

    def test_who_has_no_wage_or_no_sex_does_not_count(self):
        people = [("Male", 0), ("Female", None), (None, 100), ("Male", 300), ("Female", 200)]
        self.assertEqual(answer(people), [{"gap": 1.0}])

    def test_a_block_with_one_sex_only_has_no_answer(self):
        self.assertEqual(answer([("Male", 300)]), [])
        self.assertEqual(answer([]), [])


if __name__ == "__main__":
    unittest.main()
