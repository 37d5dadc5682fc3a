"""A patch notices that the code it is for has changed."""

import sys
import types
import unittest
import unittest.mock

from signalbox_cloud import patching

from . import upstream_sample


class Patching(unittest.TestCase):
    def setUp(self) -> None:
        saved = dict(vars(upstream_sample))
        self.addCleanup(lambda: vars(upstream_sample).update(saved))

    def test_a_substitution_takes_effect_wherever_the_function_is_held(self):
        holder = types.ModuleType("ministack.sample")
        holder.by_name = upstream_sample.greet
        holder.table = {"outer": {"inner": upstream_sample.greet}}
        with unittest.mock.patch.dict(sys.modules, {holder.__name__: holder}):
            patching.substitute(upstream_sample, "greet", ('"Hello, "', '"Goodbye, "'))
        for greet in (upstream_sample.greet, holder.by_name, holder.table["outer"]["inner"]):
            self.assertEqual("Goodbye, world", greet("world"))

    def test_a_substitution_of_text_that_is_not_there_names_file_and_function(self):
        with self.assertRaisesRegex(patching.UpstreamChanged, r"upstream_sample\.py: .*greet: expected .* 0 times"):
            patching.substitute(upstream_sample, "greet", ("Bonjour", "Hello"))

    def test_a_function_that_is_gone_is_named(self):
        with self.assertRaisesRegex(patching.UpstreamChanged, "vanished: there is no such function"):
            patching.substitute(upstream_sample, "vanished", ("a", "b"))

    def test_a_replacement_of_changed_code_names_file_and_function(self):
        with self.assertRaisesRegex(patching.UpstreamChanged, r"upstream_sample\.py: .*greet has changed"):
            patching.replace(upstream_sample, "greet", print, "000000000000")

    def test_a_wrapper_gets_the_original(self):
        expected = patching.fingerprint(upstream_sample.greet)
        patching.wrap(upstream_sample, "greet", lambda original, name: original(name) + "!", expected)
        self.assertEqual("Hello, world!", upstream_sample.greet("world"))

    def test_a_name_that_upstream_has_is_not_overwritten(self):
        with self.assertRaisesRegex(patching.UpstreamChanged, "now has a greet of its own"):
            patching.provide(upstream_sample, greet=print)

    def test_another_version_is_refused(self):
        version = unittest.mock.patch("importlib.metadata.version", return_value="1.5.34")
        with version, self.assertRaisesRegex(patching.UpstreamChanged, "ministack 1.5.34 is installed"):
            patching.check_version()
