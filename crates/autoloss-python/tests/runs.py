"""Short searches that tests of several files make."""

from tasks import SMALL, Linear

import autoloss as al


def searched(tmp_path, task=None, name="run", **settings):
    given = {**SMALL, "evaluations": 6, "seed": 1, **settings}
    return al.search(task or Linear(), run=tmp_path / name, **given)


def formulas(run):
    return [(row["formula"], row["fate"], row["score"]) for row in run._store.candidates()]
