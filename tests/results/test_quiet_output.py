from __future__ import annotations

from tests.support.processes import python


def test_keras_comes_without_a_word() -> None:
    result = python("from data.io.keras_import import import_keras; import_keras(); import keras")
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


def test_a_failed_import_is_not_hidden() -> None:
    code = (
        "import os, sys, types, importlib.abc\n"
        "class Broken(importlib.abc.MetaPathFinder):\n"
        "    def find_spec(self, name, path, target=None):\n"
        "        if name == 'keras':\n"
        "            os.write(2, b'why it failed')\n"
        "            raise ImportError('no keras')\n"
        "sys.meta_path.insert(0, Broken())\n"
        "from data.io.keras_import import import_keras\n"
        "import_keras()\n"
    )
    result = python(code)
    assert result.returncode == 1
    assert "why it failed" in result.stderr
    assert "ImportError: no keras" in result.stderr
