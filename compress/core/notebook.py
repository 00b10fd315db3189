"""Whether Python runs in a notebook, which has no terminal but can show progress."""

from __future__ import annotations

import sys
from typing import Any


def in_notebook() -> bool:
    """Whether a kernel of Jupyter (or Colab, VS Code, Kaggle) runs this program."""
    ipython: Any = sys.modules.get("IPython")
    return ipython is not None and hasattr(ipython.get_ipython(), "kernel")
