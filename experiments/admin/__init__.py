"""Everything recorded, for operators: find it, correct it by hand, tidy it away.

Usable at 100,000 runs and millions of params: counting stops above 10,000, no list asks the
database anything per row, and writes go through `recording` and `curating` like everyone's.
"""

from experiments.admin import curated, recorded

__all__ = ["curated", "recorded"]
