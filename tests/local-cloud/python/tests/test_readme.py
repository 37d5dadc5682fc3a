"""What the README says of the patches: their modules and their tests are there."""

import re
import unittest

from .support import HERE

README = (HERE.parent / "README.md").read_text()
TESTS = {path: path.read_text() for path in HERE.glob("test_*.py")}
_before, PATCHES = README.split("\n## What is patched\n")
ROWS = [row.split("|")[1:-1] for row in PATCHES.split("\n## ")[0].splitlines() if row.startswith("| ")][1:]


class Patches(unittest.TestCase):
    def test_every_row_names_its_module_and_its_test(self):
        self.assertGreater(len(ROWS), 100)
        for patch, _emulator, _aws, test in ROWS:
            with self.subTest(test):
                for module in re.findall(r"`(\w+)`", patch):
                    self.assertTrue((HERE.parent / "signalbox_cloud" / f"{module}.py").is_file(), module)
                self.assertTrue("`" in test or test.strip() == "*speed*")

    def test_every_test_that_is_named_is_there(self):
        defined = re.findall(r"^    def (test_\w+)\(", "\n".join(TESTS.values()), re.MULTILINE)
        named = re.findall(r"`(test_\w+)`", README)
        self.assertGreater(len(named), 100)
        self.assertEqual(set(), set(named) - set(defined))
        for classes, file in re.findall(r"((?:`\w+`(?: and )?)+) in `tests/(\w+\.py)`", README):
            for name in re.findall(r"`(\w+)`", classes):
                self.assertRegex(TESTS[HERE / file], rf"(?m)^class {name}\(", file)
