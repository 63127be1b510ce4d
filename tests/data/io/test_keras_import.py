from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.processes import python

_STATE = """
import keras
config = keras.config
print(keras.backend.backend(), config.image_data_format(), config.floatx(), config.epsilon())
"""
_FIXED = "tensorflow channels_last float32 1e-07\n"


@pytest.mark.parametrize(
    "backend",
    ["", "jax", "torch"],
)
def test_the_users_keras_settings_change_nothing(backend: str, tmp_path: Path) -> None:
    settings = {
        "backend": "tensorflow",
        "image_data_format": "channels_first",
        "floatx": "float64",
        "epsilon": 1e-3,
    }
    (tmp_path / "keras.json").write_text(json.dumps(settings))
    environment = {"KERAS_HOME": str(tmp_path), **({"KERAS_BACKEND": backend} if backend else {})}
    result = python(f"from data.io.keras_import import import_keras\nimport_keras()\n{_STATE}", **environment)
    assert (result.stdout, result.stderr, result.returncode) == (_FIXED, "", 0)


def test_a_trial_and_a_program_that_imported_keras_first_have_the_same_settings(tmp_path: Path) -> None:
    (tmp_path / "keras.json").write_text(json.dumps({"image_data_format": "channels_first"}))
    code = f"import keras, spaces\nspaces.get('melspec_cnn').set_up(cpus=1, gpus=False)\n{_STATE}"
    result = python(code, KERAS_HOME=str(tmp_path), KERAS_BACKEND="tensorflow")
    assert (result.stdout, result.returncode) == (_FIXED, 0), result.stderr


def test_another_backend_of_the_calling_program_is_refused() -> None:
    code = (
        "import keras\nkeras.backend.backend = lambda: 'torch'\n"
        "from data.errors import HarnessError\n"
        "from data.io.keras_import import import_keras\n"
        "try:\n    import_keras()\nexcept HarnessError as error:\n    print(error)\n"
    )
    result = python(code)
    assert result.stdout == (
        "this process has imported Keras with the backend 'torch'; set KERAS_BACKEND=tensorflow"
        " before the first import of keras\n"
    ), result.stderr


def test_modules_that_keras_would_import_are_not_hidden() -> None:
    code = (
        "import sys\nfrom data.io.keras_import import import_keras\nimport_keras()\n"
        "print(sys.modules.get('sklearn', 'absent') is None, sys.modules.get('matplotlib', 'absent') is None)"
    )
    assert python(code).stdout == "False False\n"
