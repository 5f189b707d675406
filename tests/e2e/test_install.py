"""What `cmake --install` puts in place is enough for another project."""

import pathlib
import re
import subprocess

import command

EXAMPLE = command.ROOT / "docs" / "example_cache"


def build_folder():
    return pathlib.Path(command.binary()).resolve().parent


def cached(name):
    """A variable that the build was configured with."""
    text = (build_folder() / "CMakeCache.txt").read_text()
    found = re.search(rf"^{name}:\w+=(.*)$", text, re.MULTILINE)
    return found[1] if found else ""


def run(*args):
    done = subprocess.run(
        [str(arg) for arg in args],
        capture_output=True,
        text=True,
        timeout=command.TIMEOUT_S,
        check=False,
    )
    assert done.returncode == 0, f"{args}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def configure(source, build, prefix):
    sanitizers = cached("VARVE_SANITIZE")
    flags = f"-fsanitize={sanitizers}" if sanitizers else ""
    run(
        "cmake", "-S", source, "-B", build, "-G", "Ninja", f"-DCMAKE_PREFIX_PATH={prefix}",
        f"-DCMAKE_CXX_COMPILER={cached('CMAKE_CXX_COMPILER')}", f"-DCMAKE_CXX_FLAGS={flags}",
    )  # fmt: skip


def test_another_project_builds_with_the_installed_cache(tmp_path):
    prefix = tmp_path / "prefix"
    run("cmake", "--install", build_folder(), "--prefix", prefix)
    headers = sorted(path.name for path in (prefix / "include").iterdir())
    assert headers == ["varve"]
    configure(EXAMPLE, tmp_path / "build", prefix)
    run("cmake", "--build", tmp_path / "build")
    printed = run(tmp_path / "build" / "vector_cache", tmp_path / "vectors")
    assert printed.splitlines()[0] == "red has 3 dimensions"
    assert re.search(r"^ram +1 hits$", printed, re.MULTILINE)

    # The cache alone needs nothing of the engine; all of it links as one target.
    links = (tmp_path / "build" / "build.ninja").read_text()
    assert "libvarve_cache.a" in links and "libvarve_engine.a" not in links
    whole = tmp_path / "whole"
    whole.mkdir()
    (whole / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.25)\n"
        "project(whole LANGUAGES CXX)\n"
        "find_package(varve REQUIRED)\n"
        f"add_executable(whole {command.ROOT}/docs/example/main.cc)\n"
        "target_compile_features(whole PRIVATE cxx_std_20)\n"
        "target_link_libraries(whole PRIVATE varve::varve)\n"
    )
    configure(whole, whole / "build", prefix)
    run("cmake", "--build", whole / "build")
    assert "orange" in run(whole / "build" / "whole")
    assert (prefix / "bin" / "varve").is_file()
