#!/usr/bin/env python3
"""The checks find what they are for: each test plants one fault in a small tree."""

import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

TOOLS = Path(__file__).resolve().parent
TABLE = "base:\nstore: base\nengine: base store\n"
README = "# a module\n"


class CheckTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.root = Path(self.folder.name)
        self.write("tools/module_table.txt", TABLE)
        for module in ("base", "store", "engine"):
            self.write(f"src/{module}/README.md", README)

    def tearDown(self):
        self.folder.cleanup()

    def write(self, name: str, text: str):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def run_check(self, tool: str) -> tuple[int, str]:
        done = subprocess.run([sys.executable, str(TOOLS / tool), str(self.root)],
                              capture_output=True, text=True)
        return done.returncode, done.stdout + done.stderr

    def assert_found(self, tool: str, words: str):
        code, output = self.run_check(tool)
        self.assertEqual(code, 1, output)
        self.assertIn(words, output)

    def assert_clean(self, tool: str):
        code, output = self.run_check(tool)
        self.assertEqual(code, 0, output)


class Includes(CheckTest):
    def test_allowed_includes_pass(self):
        self.write("src/engine/log.cc",
                   '#include "engine/log.h"\n#include "store/object_store.h"\n'
                   '#include "engine/internal/slot.h"\n#include "varve/types.h"\n'
                   '#include <zstd.h>\n')
        self.write("sim/world.cc", '#include "engine/log.h"\n#include "store/object_store.h"\n')
        self.assert_clean("check_includes")

    def test_a_module_below_is_forbidden(self):
        self.write("src/store/local.cc", '#include <map>\n#include "engine/log.h"\n')
        self.assert_found("check_includes", "src/store/local.cc:2")

    def test_a_module_that_is_not_in_the_table_is_forbidden(self):
        self.write("src/extra/x.cc", "")
        self.assert_found("check_includes", "module extra is not in")

    def test_an_include_of_an_unknown_module_is_forbidden(self):
        self.write("src/base/x.cc", '#include "extra/x.h"\n')
        self.assert_found("check_includes", "extra is not in tools/module_table.txt")

    def test_the_public_api_includes_only_itself(self):
        self.write("include/varve/x.h", '#include "base/bytes.h"\n')
        self.assert_found("check_includes", "include/varve may include only include/varve")

    def test_internal_headers_are_private(self):
        self.write("src/engine/x.cc", '#include "store/internal/path.h"\n')
        self.assert_found("check_includes", "store/internal is private to store")
        self.write("src/engine/x.cc", "")
        self.write("tests/x.cc", '#include "store/internal/path.h"\n')
        self.assert_found("check_includes", "store/internal is private to store")

    def test_a_header_is_named_by_its_full_path(self):
        self.write("src/store/local.cc", '#include "local.h"\n')
        self.assert_found("check_includes", "full path")

    def test_a_cycle_in_the_table_is_refused(self):
        self.write("tools/module_table.txt", "base: store\nstore: base\nengine:\n")
        self.assert_found("check_includes", "do not stand above it: store")


class Style(CheckTest):
    def test_clean_code_passes(self):
        self.write("src/base/clock.cc", "auto t = std::chrono::system_clock::now();\n")
        self.write("src/store/x.cc",
                   '// strand(1); std::async is not used.\nauto s = "rand()";\nint operand(int);\n')
        self.assert_clean("check_style")

    def test_each_ban_is_found(self):
        for line, words in [
            ("auto t = std::chrono::system_clock::now();", "base::Clock"),
            ("std::random_device device;", "base::Random"),
            ("int x = rand();", "base::Random"),
            ("int x = std::rand();", "base::Random"),
            ("auto f = std::async(g);", "base::Pool"),
            ("thread.detach();", "join"),
            ("class StoreManager {};", "after its job"),
            ("struct PathUtils {};", "after its job"),
            ("// TODO later", "open an issue"),
            ('auto p = "/home/someone/data";', "no paths of one machine"),
        ]:
            with self.subTest(line):
                self.write("src/store/x.cc", line + "\n")
                self.assert_found("check_style", words)
                self.assert_found("check_style", "src/store/x.cc:1")

    def test_a_long_file_is_found(self):
        self.write("src/store/x.cc", "\n" * 501)
        self.assert_found("check_style", "longer than 500 lines")

    def test_a_long_function_is_a_hint(self):
        self.write("src/store/x.cc", "int f(int x) {\n" + "  ++x;\n" * 90 + "}\n")
        code, output = self.run_check("check_style")
        self.assertEqual(code, 0)
        self.assertIn("hint: function of 92 lines", output)

    def test_a_module_has_a_short_readme(self):
        self.write("src/store/README.md", "x\n" * 41)
        self.assert_found("check_style", "longer than 40 lines")
        (self.root / "src/store/README.md").unlink()
        self.write("src/store/x.cc", "")
        self.assert_found("check_style", "no README.md")


    def test_an_example_is_the_file_that_it_names(self):
        self.write("main.cc", "int main() {}\n")
        self.write("README.md", "<!-- file: main.cc -->\n```cpp\nint main() {}\n```\n")
        self.assert_clean("check_style")
        self.write("main.cc", "int main(){}\n")
        self.assert_found("check_style", "is not the file main.cc")


class Counting(unittest.TestCase):
    def count(self, files: dict[str, str]) -> str:
        with tempfile.TemporaryDirectory() as folder:
            for name, text in files.items():
                (Path(folder) / name).write_text(text)
            return subprocess.run([sys.executable, str(TOOLS / "count_tests.py"), folder],
                                  capture_output=True, text=True, check=True).stdout.strip()

    CTEST = ('<testsuite><testcase name="base" status="{}">{}</testcase>'
             '<testcase name="trace" status="run"/></testsuite>')
    GTEST = ('{"testsuites": [{"testsuite": [{"status": "RUN", "result": "COMPLETED"},'
             '{"status": "RUN", "result": "SKIPPED"}%s]}]}')

    def test_the_cases_of_a_binary_count_and_other_entries_count_once(self):
        self.assertEqual("2 0 1", self.count({"ctest.xml": self.CTEST.format("run", ""),
                                              "base_test.json": self.GTEST % ""}))

    def test_a_failed_case_counts_once(self):
        case = ',{"status": "RUN", "result": "COMPLETED", "failures": [{}]}'
        self.assertEqual("2 1 1", self.count({"ctest.xml": self.CTEST.format("fail", "<failure/>"),
                                              "base_test.json": self.GTEST % case}))

    def test_a_binary_that_died_is_a_failure(self):
        files = {"ctest.xml": self.CTEST.format("fail", "<failure/>")}
        self.assertEqual("1 1 0", self.count(files))

    def test_a_binary_that_leaks_after_its_cases_is_a_failure(self):
        self.assertEqual("2 1 1", self.count({"ctest.xml": self.CTEST.format("fail", "<failure/>"),
                                              "base_test.json": self.GTEST % ""}))

    def test_pytest_results_count(self):
        text = ('<testsuites><testsuite><testcase/><testcase><failure/></testcase>'
                '<testcase><skipped/></testcase></testsuite></testsuites>')
        self.assertEqual("1 1 1", self.count({"pytest.xml": text}))


class Invariants(CheckTest):
    def setUp(self):
        super().setUp()
        self.write("docs/internals/invariants.md", "By `engine/log.cc`.\n"
                   "| I1 | It is so. | step | early-ack, seal |\n| I2 | And so. | step | |\n")
        self.write("src/engine/log.cc", "append();\nseal();\n")
        self.write("src/engine/log_test.cc", "TEST_F(Log, IsSealed) {}\n")
        self.write_faults("append();", "seal();", "engine_test Log.IsSealed")

    def write_faults(self, append: str, seal: str, check: str):
        self.write("tests/planted/faults.py",
                   "from types import SimpleNamespace as Fault\n"
                   "FAULTS = ("
                   f"Fault(name='early-ack', file='src/engine/log.cc', edits=(({append!r}, ''),), "
                   "checks=('sim',)), "
                   f"Fault(name='seal', file='src/engine/log.cc', edits=(({seal!r}, ''),), "
                   f"checks=({check!r},)))\n")

    def test_what_exists_passes(self):
        self.assert_clean("check_invariants")

    def test_a_path_that_is_not_there_is_found(self):
        (self.root / "src/engine/log.cc").rename(self.root / "src/engine/wal.cc")
        self.assert_found("check_invariants", "there is no engine/log.cc")

    def test_a_fault_that_is_not_planted_is_found(self):
        self.write("docs/internals/invariants.md", "| I1 | It is so. | step | seal, nonce |\n")
        self.assert_found("check_invariants", "plants no 'nonce'")
        self.assert_found("check_invariants", "names the fault 'early-ack'")

    def test_a_fault_that_no_longer_applies_is_found(self):
        self.write_faults("append(x);", "seal();", "engine_test Log.IsSealed")
        self.assert_found("check_invariants", "early-ack: stands 0 times")

    def test_a_test_that_is_not_there_is_found(self):
        self.write_faults("append();", "seal();", "engine_test Log.IsEmpty")
        self.assert_found("check_invariants", "there is no test 'Log.IsEmpty'")


if __name__ == "__main__":
    unittest.main()
