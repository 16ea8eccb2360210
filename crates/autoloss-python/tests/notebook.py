"""Writes examples/digits.ipynb from examples/digits.py: `python tests/notebook.py`."""

import ast
import itertools
import json
import textwrap
from pathlib import Path

EXAMPLES = Path(__file__).parent.parent / "examples"
SCRIPT, NOTEBOOK = EXAMPLES / "digits.py", EXAMPLES / "digits.ipynb"

#: Modules that the script alone needs.
OF_SCRIPT = "import argparse\n\n"


def cells(script):
    """The cells of a script that defines things and uses them in `main`: pairs of kind and text."""
    tree = ast.parse(script)
    summary, _, usage = ast.get_docstring(tree).partition("\n\n")
    install = usage.splitlines()[0]
    nodes = tree.body[1:]
    first = next(node for node in nodes if not isinstance(node, (ast.Import, ast.ImportFrom)))
    task = next(node for node in nodes if isinstance(node, ast.ClassDef))
    main = next(node for node in nodes if getattr(node, "name", "") == "main")
    ends = [_start(script, node) for node in (nodes[0], first, task, main)]
    imports, data, task = (script[begin:end].strip() for begin, end in itertools.pairwise(ends))
    search, shown = _main(script, main)
    return [
        ("markdown", f"# {summary}\n\n`{install} matplotlib`"),
        ("code", imports.removeprefix(OF_SCRIPT)),
        ("markdown", "The data: a training, a search and a test set. Losses are chosen on the search set."),
        ("code", data),
        ("markdown", "The task. Losses are compared with the baselines in the end."),
        ("code", task),
        (
            "markdown",
            'The search. An interrupt ends it in order, and `al.open(FOLDER).resume(Digits(), time="5m")` goes on.',
        ),
        ("code", search),
        ("markdown", "Full training with five seeds, scored on the test set."),
        ("code", shown),
        ("markdown", "The loss to use, the search, and the curves of its best loss."),
        *(("code", text) for text in ("run.recommended", "run.plot()", 'run.plot("loss")')),
        ("markdown", "As a PyTorch module, and as code that needs nothing of this package."),
        ("code", 'criterion = run.recommended.torch()\nprint(run.recommended.code("pytorch"))'),
    ]


def _start(script, node):
    """Where a node begins, the comment directly above it included."""
    lines = script.splitlines(keepends=True)
    first = node.lineno - 1
    while first > 0 and lines[first - 1].startswith("#"):
        first -= 1
    return sum(map(len, lines[:first]))


def _main(script, main):
    """The search of `main` with the defaults of its options, and what follows."""
    options = []
    for node in ast.walk(main):
        if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "add_argument":
            default = next((keyword.value for keyword in node.keywords if keyword.arg == "default"), None)
            if default is not None:
                name = node.args[0].value.removeprefix("--")
                options.append(f"{name}={ast.get_source_segment(script, default)}")
    place = next(place for place, node in enumerate(main.body) if ast.unparse(node).startswith("run = "))
    lines = script.splitlines()
    search = lines[main.body[place].lineno - 1].strip().replace("**vars(arguments)", ", ".join(options))
    shown = textwrap.dedent("\n".join(lines[main.body[place + 1].lineno - 1 : main.end_lineno]))
    return search, shown


def notebook(script):
    """The notebook of a script, without outputs, as text."""
    made = []
    for number, (kind, text) in enumerate(cells(script)):
        cell = {"cell_type": kind, "id": f"cell-{number}", "metadata": {}, "source": text.splitlines(keepends=True)}
        made.append(cell | ({"execution_count": None, "outputs": []} if kind == "code" else {}))
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    metadata = {"kernelspec": kernel, "language_info": {"name": "python"}}
    whole = {"cells": made, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(whole, indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    NOTEBOOK.write_text(notebook(SCRIPT.read_text()))
