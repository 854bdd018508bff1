import queue
import unittest

from base import VolumeCase

from leoflow_runtime import on_rotation


class TestOnRotation(VolumeCase):
    def test_names_what_changed(self):
        self.volume.variable("region", "north")
        self.volume.variable("still", "the same")
        told = queue.Queue()
        watch = on_rotation(told.put, interval=0.005)
        self.addCleanup(watch.stop)
        for change in (lambda: self.volume.variable("region", "south"), lambda: self.volume.refuse("variable", "region"),
                       lambda: self.volume.variable("region", "east")):
            change()
            self.assertEqual({("variable", "region")}, told.get(timeout=60))
        watch.stop()
        self.volume.variable("region", "west")
        self.assertTrue(told.empty())

    def test_a_callback_that_fails_is_called_again(self):
        told = queue.Queue()

        def fail(names):
            told.put(names)
            raise RuntimeError("of the callback")

        watch = on_rotation(fail, interval=0.005)
        self.addCleanup(watch.stop)
        self.volume.variable("a", "1")
        told.get(timeout=60)
        self.volume.variable("b", "1")
        self.assertEqual({("variable", "b")}, told.get(timeout=60))
        self.assertIn("of the callback", self.records.texts[0])


if __name__ == "__main__":
    unittest.main()
