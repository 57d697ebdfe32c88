#!/usr/bin/env python3
"""Sums up the JUnit reports of several ctest runs.

Usage: count_tests.py REPORT.xml...

Says which tests failed and why tests were skipped, then, as the last line, "N passed, N failed,
N skipped". A report that is missing or empty counts as one failure: its tests could not be built
or run.
Returns 1 when anything failed or nothing ran.
"""

import re
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

# What ctest writes about a test that chose to be skipped; others did not run for want of a program.
SKIPPED_ON_PURPOSE = re.compile(r"SKIP_RETURN_CODE|SKIP_REGULAR_EXPRESSION|Disabled", re.IGNORECASE)


def reason(case):
    """The line in which a skipped test says why, else what ctest says."""
    output = case.findtext("system-out") or ""
    lines = [line.strip() for line in output.splitlines() if "skip" in line.lower()]
    return lines[-1] if lines else case.find("skipped").get("message", "no reason given")


def verdict(case):
    """("passed" | "failed" | "skipped", why) of one test."""
    status = case.get("status")
    if status == "run":
        return "passed", ""
    if status == "fail":
        return "failed", "see its output above"
    skipped = case.find("skipped")
    message = skipped.get("message", "") if skipped is not None else ""
    if status == "disabled" or SKIPPED_ON_PURPOSE.search(message):
        return "skipped", reason(case) if skipped is not None else "disabled"
    return "failed", message or "did not run"


def main():
    if len(sys.argv) < 2:
        print(__doc__, file=sys.stderr)
        return 64
    counts = {"passed": 0, "failed": 0, "skipped": 0}
    for report in map(Path, sys.argv[1:]):
        cases = list(ElementTree.parse(report).iter("testcase")) if report.exists() else []
        if not cases:
            counts["failed"] += 1
            print(f"failed:  {report.stem}: its tests could not be built or run")
        for case in cases:
            outcome, why = verdict(case)
            counts[outcome] += 1
            if outcome != "passed":
                print(f"{outcome + ':':<8} {report.stem}/{case.get('name')}: {why}")
    print(", ".join(f"{count} {outcome}" for outcome, count in counts.items()))
    return 1 if counts["failed"] or not counts["passed"] else 0


if __name__ == "__main__":
    sys.exit(main())
