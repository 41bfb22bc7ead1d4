"""What has been replaced, and what stood there before."""

import sys
from importlib import import_module

# {module name: {item: original}}.  An item that did not exist is MISSING.
saved = {}

MISSING = object()


def is_module_patched(mod_name):
    """Whether anything in the module *mod_name* has been replaced."""
    return mod_name in saved


def is_object_patched(mod_name, item_name):
    """Whether *item_name* of the module *mod_name* has been replaced."""
    return item_name in saved.get(mod_name, ())


def is_anything_patched():
    """Whether any module has been patched at all."""
    return bool(saved)


def _original(mod_name, item_name):
    value = saved.get(mod_name, {}).get(item_name, MISSING)
    if value is not MISSING:
        return value
    return getattr(import_module(mod_name), item_name)


def get_original(mod_name, item_name):
    """Return the object that *item_name* of *mod_name* named at first.

    Given a list of names it returns the list of their objects.
    """
    if isinstance(item_name, str):
        return _original(mod_name, item_name)
    return [_original(mod_name, name) for name in item_name]


def _save(module, attr):
    items = saved.setdefault(module.__name__, {})
    # The first one is the original; later ones are replacements of ours.
    items.setdefault(attr, vars(module).get(attr, MISSING))


def patch_item(module, attr, newitem):
    """Let *attr* of *module* be *newitem*; the original can be asked for."""
    if vars(module).get(attr, MISSING) is newitem:
        return
    _save(module, attr)
    setattr(module, attr, newitem)


def remove_item(module, attr):
    """Take *attr* out of *module*, if it is there."""
    if attr in vars(module):
        _save(module, attr)
        delattr(module, attr)


def patch_module(target, source, items=None):
    """Copy *items* of the module *source* over those of *target*.

    Without *items*, what ``source.__implements__`` names.  Names that
    *target* does not have in this version of Python are left alone.
    """
    names = source.__implements__ if items is None else items
    for name in names:
        if hasattr(target, name) and hasattr(source, name):
            patch_item(target, name, getattr(source, name))
    return True


def replacements():
    """Yield (original, replacement) of all that is replaced now."""
    for mod_name, items in saved.items():
        module = sys.modules.get(mod_name)
        for name, original in items.items():
            current = getattr(module, name, MISSING)
            if original is MISSING or current is MISSING:
                continue
            if current is not original:
                yield original, current
