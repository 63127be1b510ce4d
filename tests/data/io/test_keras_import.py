from __future__ import annotations

import pytest

from tests.support.processes import python


@pytest.mark.parametrize("before", ["", "import sklearn.base"])
def test_what_only_keras_would_use_is_not_imported_but_can_be(before: str) -> None:
    done = python(
        f"import sys\n{before}\n"
        "had = 'sklearn' in sys.modules\n"
        "from data.io.keras_import import import_keras\n"
        "import_keras()\n"
        "assert 'keras' in sys.modules and 'matplotlib' not in sys.modules\n"
        "assert ('sklearn' in sys.modules) == had\n"
        "import matplotlib.pyplot, sklearn.preprocessing\n"
        "print(sklearn.preprocessing.StandardScaler.__name__, matplotlib.pyplot.figure.__name__)\n"
    )
    assert (done.stdout, done.stderr, done.returncode) == ("StandardScaler figure\n", "", 0)
