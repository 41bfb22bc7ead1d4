"""Finds Celadon's modules of other packages' names, where that is wanted.

celadon-dropin.pth imports this at the start of an interpreter whose
environment has CELADON_DROPIN; `celadon.dropin` is the face for programs.
Nothing of celadon is loaded before one of the names is imported.
"""

import os
import sys

# The packages that the folder TREE has.
NAMES = ("greenlet",)
TREE = os.path.join(os.path.dirname(__file__), "celadon", "_dropin")


class Finder:
    """Finds the packages `names` in TREE, and their metadata."""

    def __init__(self):
        self.names = set()

    def find_spec(self, name, path=None, target=None):
        if name not in self.names:
            return None
        from importlib.util import spec_from_file_location

        folder = os.path.join(TREE, name)
        return spec_from_file_location(
            name,
            os.path.join(folder, "__init__.py"),
            submodule_search_locations=[folder],
        )

    def find_distributions(self, context=None):
        """For importlib.metadata: the version is that of what is imported."""
        from importlib.machinery import PathFinder
        from importlib.metadata import DistributionFinder

        # Who names folders, as pip does, asks what is installed there.
        if context is not None and "path" in vars(context):
            return
        wanted = self.names
        if context is not None and context.name is not None:
            wanted = wanted & {context.name.lower()}
        for name in wanted:
            yield from PathFinder.find_distributions(
                DistributionFinder.Context(name=name, path=[TREE])
            )


FINDER = Finder()


def activate(names=NAMES):
    """Let `names`, imported from now on, be Celadon's.

    Raises ImportError where the real package is loaded already.
    """
    for name in names:
        if name not in NAMES:
            raise ImportError(
                f"celadon has no drop-in for {name!r}, only for "
                + ", ".join(NAMES)
            )
        refuse_loaded(name)
    FINDER.names.update(names)
    if FINDER not in sys.meta_path:
        sys.meta_path.insert(0, FINDER)
    refuse_later()


def start():
    """Do as the environment says: CELADON_DROPIN is 1, or names with commas.

    Like PYTHON… variables it is ignored by python -E and python -I.
    """
    wanted = os.environ.get("CELADON_DROPIN", "")
    if wanted in ("", "0") or sys.flags.ignore_environment:
        return
    activate(NAMES if wanted == "1" else wanted.split(","))


# ---- no mixture


def refuse_loaded(name):
    """Raise ImportError if the real package `name` is loaded."""
    compiled = f"_{name}"
    for one, module in list(sys.modules.items()):
        if one != name and one.rpartition(".")[2] != compiled:
            continue
        # Ours say what they are; others of the second name have no capsule.
        if hasattr(module, "_C_API") and not hasattr(module, "CELADON"):
            where = getattr(module, "__file__", "an unknown place")
            raise ImportError(
                f"the real {name} is already loaded, from {where}, and "
                "Celadon's cannot work beside it: begin with Celadon's, by "
                "CELADON_DROPIN=1 in the environment or by `python -m celadon "
                f"--dropin`, or install celadon-dropin instead of {name}",
                name=name,
            )


def _is_real_greenlet(spec):
    """Whether `spec` is of the real package's extension module."""
    # The name tells the loader which function to call: it can't be another.
    named = spec.name.rpartition(".")[2] == "_greenlet"
    if not named or not os.path.isfile(spec.origin):
        return False
    with open(spec.origin, "rb") as file:
        return b"greenlet._C_API" in file.read()


def refuse_later():
    """From now on raise ImportError where the real greenlet is imported.

    Also where somebody does it by its path, past all finders.
    """
    from importlib.machinery import ExtensionFileLoader

    original = ExtensionFileLoader.create_module
    if original.__module__ == __name__:
        return

    def create_module(self, spec):
        if _is_real_greenlet(spec):
            raise ImportError(
                f"{spec.origin} is of the real greenlet, which cannot work "
                "beside Celadon's, and that is in use here: run without "
                "Celadon's drop-in, or uninstall greenlet and install "
                "celadon-dropin anew",
                name=spec.name,
                path=spec.origin,
            )
        return original(self, spec)

    ExtensionFileLoader.create_module = create_module
