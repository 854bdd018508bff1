import unittest
from unittest import mock

from base import NEEDLE

from leoflow_runtime.mask import mask


class TestMask(unittest.TestCase):
    def test_a_value_and_the_texts_in_it_once(self):
        masked = []
        with mock.patch("leoflow_runtime.mask._masker", lambda: masked.append):
            for _ in range(2):
                mask('{"a": ["inside", "no"], "b": {"c": "deeper"}}')
        self.assertEqual(["deeper", "inside", '{"a": ["inside", "no"], "b": {"c": "deeper"}}'], sorted(masked, key=lambda text: (text[0] == "{", text)))

    def test_nobody_takes_a_value_for_masked_before_it_is(self):
        """Another thread asks while the masker is at work, and a signal ends the first one."""
        seen = []

        def interrupted(text):
            seen.append(text)
            if len(seen) == 1:
                mask(NEEDLE)
                raise KeyboardInterrupt

        with mock.patch("leoflow_runtime.mask._masker", lambda: interrupted):
            with self.assertRaises(KeyboardInterrupt):
                mask(NEEDLE)
            self.assertEqual([NEEDLE] * 2, seen, "the one who asks meanwhile masks it too")
            mask(NEEDLE)
            self.assertEqual(2, len(seen))


if __name__ == "__main__":
    unittest.main()
