#!/usr/bin/env python3
"""jobs.py without programs: what a table of scenarios may say, and the job file that comes of it."""

import sys
import unittest

sys.dont_write_bytecode = True

from jobs import JOB, Scenario, job_text, job_with, violations

GOOD = {
    "weights_sha256": "ab",
    "loss": [2, 1],
    "validation": [],
    "bad_steps": 0,
    "error": "",
    "final_step": 40,
    "steps_lost": 0,
    "events": [],
    "regroups": [{"source": "fresh", "cause": "start"}],
}


class Table(unittest.TestCase):
    def test_a_misspelt_key_is_refused_by_its_name(self) -> None:
        with self.assertRaisesRegex(ValueError, "kill-worker: cause is not a key of a scenario; did you mean causes?"):
            Scenario.of("kill-worker", nodes=4, cause=["worker_lost"])

    def test_a_key_that_resembles_none_is_answered_with_all_of_them(self) -> None:
        with self.assertRaisesRegex(
            ValueError, "x: colour is not a key of a scenario; there are steps, slices, .*never"
        ):
            Scenario.of("x", colour="red")

    def test_a_cause_that_no_regroup_had_is_a_violation(self) -> None:
        self.assertEqual(list(violations(Scenario(), GOOD, GOOD)), [])
        wrong = list(violations(Scenario.of("x", causes=["join"]), GOOD, GOOD))
        self.assertEqual(wrong, ["no regroup had the cause join, only ['start']"])

    def test_other_weights_are_a_violation(self) -> None:
        self.assertEqual(len(list(violations(Scenario(), {**GOOD, "weights_sha256": "cd"}, GOOD))), 1)


class JobFile(unittest.TestCase):
    def test_sections_are_merged_and_the_base_stays(self) -> None:
        job = job_with({"elastic": {"max_groups": 1, "load_gain": 0.02}, "data": "lines"})
        self.assertEqual(job["elastic"], {"min_nodes": 1, "max_groups": 1, "load_gain": 0.02})
        self.assertEqual((job["data"], JOB["data"], JOB["elastic"]["max_groups"]), ("lines", "text", 2))

    def test_it_has_one_key_a_line(self) -> None:
        self.assertEqual(
            job_text({"name": "x", "model": {"tie": True, "layers": [0]}}),
            "name: x\nmodel:\n  tie: true\n  layers: [0]\n",
        )

    def test_what_changes_no_bit_is_not_in_the_name_of_the_bits(self) -> None:
        self.assertEqual(Scenario(nodes=4, groups=1).name_of_bits(), Scenario().name_of_bits())
        self.assertNotEqual(Scenario(slices=4).name_of_bits(), Scenario().name_of_bits())


if __name__ == "__main__":
    unittest.main()
