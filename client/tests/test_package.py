"""What this package promises about itself."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from exptrack.tests.waiting import PATIENCE

pytestmark = pytest.mark.only_on("sqlite")

FILES = sorted((Path(__file__).resolve().parent.parent / "src" / "exptrack_client").glob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_module_is_python_3_9_and_imports_the_standard_library_only(path):
    tree = ast.parse(path.read_text(), feature_version=(3, 9))
    imported = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imported |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add((node.module or "").split(".")[0])
    # pandas where it is installed, and only by to_pandas().
    optional = {"pandas"} if path.name == "reading.py" else set()
    assert imported - sys.stdlib_module_names - {"exptrack_client"} <= optional


def test_nothing_is_imported_that_starting_can_do_without():
    heavy = {"pandas", "numpy", "asyncio", "multiprocessing", "argparse"}
    code = "import sys, exptrack_client; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(FILES[0].parent.parent)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert not heavy & set(done.stdout.split())


def test_the_wheel_is_small_typed_and_brings_a_command(tmp_path):
    project = tmp_path / "client"
    shutil.copytree(
        FILES[0].parent.parent.parent, project, ignore=shutil.ignore_patterns("tests", "*.egg-info")
    )
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*build, "--wheel-dir", tmp_path, project], check=True, timeout=PATIENCE)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as packed:
        names = packed.namelist()
        (metadata,) = [name for name in names if name.endswith("METADATA")]
        (entries,) = [name for name in names if name.endswith("entry_points.txt")]
        assert "Requires-Dist" not in packed.read(metadata).decode()
        assert "exptrack = exptrack_client.cli:main" in packed.read(entries).decode()
    assert "exptrack_client/py.typed" in names
    assert wheel.stat().st_size < 64_000
