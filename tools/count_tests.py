#!/usr/bin/env python3
"""Counts the tests of a folder of results and prints "<passed> <failed> <skipped>".

The folder holds what `./check` collects there: ctest.xml (ctest --output-junit), one JSON file for
each GoogleTest binary (GTEST_OUTPUT=json:FOLDER/) and other JUnit files (pytest --junitxml). A
GoogleTest binary counts with its cases, any other ctest entry as one test. A binary that died
before it wrote its file, or that failed outside its cases (a leak, a race), is one failure more.
"""

import json
import sys
import xml.etree.ElementTree as xml
from pathlib import Path


class Count:
    def __init__(self):
        self.passed = self.failed = self.skipped = 0

    def add(self, failed: bool, skipped: bool):
        self.failed += failed
        self.skipped += skipped and not failed
        self.passed += not failed and not skipped


def count_gtest(path: Path) -> Count:
    count = Count()
    for suite in json.loads(path.read_text())["testsuites"]:
        for case in suite["testsuite"]:
            if case["status"] == "RUN":
                count.add(bool(case.get("failures")), case["result"] == "SKIPPED")
            else:
                count.add(False, True)
    return count


def count_junit(path: Path) -> Count:
    count = Count()
    for case in xml.parse(path).iter("testcase"):
        failed = case.find("failure") is not None or case.find("error") is not None
        count.add(failed, case.find("skipped") is not None)
    return count


def count_ctest(path: Path, binaries: dict[str, Count]) -> Count:
    """What ctest knows beyond the files of the GoogleTest binaries."""
    count = Count()
    for case in xml.parse(path).iter("testcase"):
        failed = case.get("status") == "fail" or case.find("failure") is not None
        name = case.get("name", "")
        binary = binaries.get(f"{name}_test") or binaries.get(name)
        if binary is None:
            count.add(failed, not failed and case.get("status") != "run")
        elif failed and binary.failed == 0:
            count.failed += 1
    return count


def main() -> int:
    folder = Path(sys.argv[1])
    binaries = {path.stem: count_gtest(path) for path in folder.glob("*.json")}
    counts = list(binaries.values())
    for path in folder.glob("*.xml"):
        counts.append(count_ctest(path, binaries) if path.name == "ctest.xml"
                      else count_junit(path))
    print(sum(count.passed for count in counts), sum(count.failed for count in counts),
          sum(count.skipped for count in counts))
    return 0


if __name__ == "__main__":
    sys.exit(main())
