"""Finds the project's files that a command runs, by imports."""

import ast
from pathlib import Path

PROJECT = Path(__file__).parents[2]


def imported(module: str, seen: set[Path] | None = None) -> set[Path]:
    """Return a module's file and the files of `training` and `functions` that it imports, directly or indirectly.

    What is imported for type checkers alone does not count, nor does an empty `__init__.py`.
    """
    seen = set() if seen is None else seen
    path = _file(module)
    if path is None or path in seen:
        return seen
    if (PROJECT / path).stat().st_size:
        seen.add(path)
    tree = ast.parse((PROJECT / path).read_text())
    checking = {
        node
        for branch in ast.walk(tree)
        if isinstance(branch, ast.If) and "TYPE_CHECKING" in ast.unparse(branch.test)
        for node in ast.walk(branch)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and node not in checking:
            imported(node.module, seen)
            for name in node.names:
                imported(f"{node.module}.{name.name}", seen)
    return seen


def _file(module: str) -> Path | None:
    if module.split(".", maxsplit=1)[0] not in {"training", "functions"}:
        return None
    path = Path(*module.split("."))
    candidates = (path.with_suffix(".py"), path / "__init__.py")
    return next((one for one in candidates if (PROJECT / one).is_file()), None)
