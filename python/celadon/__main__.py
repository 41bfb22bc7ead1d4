"""``python -m celadon``: patch everything, then run a program."""

import os
import sys

USAGE = """\
usage: python -m {prog} [OPTION ...] PROGRAM [ARGUMENT ...]
       python -m {prog} info

Patch the standard library so that blocking code becomes cooperative, then
run the program as python itself would.  PROGRAM is one of

  SCRIPT            a file, or a folder or zip file with a __main__.py
  -m MODULE         a module, as python -m (also: --module)
  -c CODE           a program given as text, as python -c

`info` prints which backend the event loop has here, and why.

options:
  --no-PART         leave a part alone: {parts}
  --no-patch        leave all of it alone
  --dropin          let import {names} give Celadon's
  --sys             let reading standard input cooperate too
  -v, --verbose     say what is patched
  -V, --version     print the version and exit
  -h, --help        print this and exit
"""

# Arguments of patch_all() that are for its callers in programs only.
_NOT_OPTIONS = {"sys", "aggressive"}


def _parts():
    """The parts that can be left out, in the order of patch_all()."""
    import inspect

    from celadon.monkey import patch_all

    parameters = inspect.signature(patch_all).parameters.values()
    return [
        parameter.name
        for parameter in parameters
        if parameter.default is True and parameter.name not in _NOT_OPTIONS
    ]


class _Usage(Exception):
    """The command line can't be understood."""


class _Command:
    """A command line, understood."""

    def __init__(self, arguments):
        self.patched = True
        self.patch = {}  # arguments of patch_all()
        self.dropin = False
        self.verbose = False
        self.answer = None  # what to print instead of running anything
        self.kind = None  # "file", "-m" or "-c"
        self.program = None
        self.arguments = []
        self._read(list(arguments))

    def _read(self, rest):
        while rest:
            word = rest.pop(0)
            if word == "info" and not rest and not os.path.exists(word):
                self.answer = "info"
                return
            if word in ("-m", "--module", "-c"):
                if not rest:
                    raise _Usage(f"{word} needs an argument")
                self.kind = "-c" if word == "-c" else "-m"
                self.program = rest.pop(0)
            elif word == "--" and rest or not word.startswith("-"):
                self.kind = "file"
                self.program = rest.pop(0) if word == "--" else word
            else:
                self._option(word)
                continue
            self.arguments = rest
            return
        if self.answer is None:
            raise _Usage("which program?")

    def _option(self, word):
        name = word.removeprefix("--no-")
        if word in ("-h", "--help"):
            self.answer = "help"
        elif word in ("-V", "--version"):
            self.answer = "version"
        elif word in ("-v", "--verbose"):
            self.verbose = True
        elif word == "--dropin":
            self.dropin = True
        elif word == "--no-patch":
            self.patched = False
        elif word == "--sys":
            self.patch["sys"] = True
        elif name != word and name in _parts():
            self.patch[name] = False
        else:
            raise _Usage(f"unknown option {word}")


def _fresh_main():
    """A new, empty module __main__, such as python has at first."""
    import builtins
    import types

    module = types.ModuleType("__main__")
    module.__builtins__ = builtins
    if sys.version_info < (3, 14):
        module.__annotations__ = {}
    sys.modules["__main__"] = module
    return module


def _run_text(source, filename, namespace):
    """Compile and run; apart, so that the traceback can be cut here."""
    code = source
    if not hasattr(source, "co_code"):
        code = compile(source, filename, "exec", dont_inherit=True)
    exec(code, namespace)


def _run_code(text):
    """As python -c."""
    if not sys.flags.safe_path:
        sys.path[0] = ""
    module = _fresh_main()
    module.__loader__ = None
    _run_text(text, "<string>", vars(module))


def _run_module(name):
    """As python -m."""
    import runpy

    _fresh_main()
    runpy._run_module_as_main(name, alter_argv=True)


def _run_file(path):
    """As python FILE."""
    import pkgutil

    # As python has it since 3.9, while sys.argv[0] stays what was typed.
    path = os.path.join(os.getcwd(), path)
    if pkgutil.get_importer(path) is not None:
        # A folder or an archive: what is run is the __main__ inside.
        import runpy

        _set_first_path(path)
        _fresh_main()
        runpy._run_module_as_main("__main__", alter_argv=False)
        return
    _set_first_path(os.path.dirname(os.path.realpath(path)))
    from importlib.machinery import SourceFileLoader, SourcelessFileLoader

    module = _fresh_main()
    module.__file__ = path
    if sys.version_info < (3, 15):
        module.__cached__ = None  # a name that is no more
    with open(path, "rb") as file:
        source = pkgutil.read_code(file)
        if source is None:
            loader = SourceFileLoader
            file.seek(0)
            source = file.read()
        else:
            loader = SourcelessFileLoader
    module.__loader__ = loader("__main__", path)
    _run_text(source, path, vars(module))


def _set_first_path(folder):
    """What python -m put first in sys.path gives way to *folder*."""
    if not sys.flags.safe_path:
        sys.path[0] = folder


def _hide_frames():
    """Let tracebacks that end the program begin at the program."""
    hook = sys.excepthook

    def excepthook(kind, value, traceback):
        inner = traceback
        while inner is not None:
            if inner.tb_frame.f_globals is globals():
                traceback = inner.tb_next
            inner = inner.tb_next
        if traceback is None and not isinstance(value, SyntaxError):
            traceback = value.__traceback__
        value.__traceback__ = traceback
        hook(kind, value, traceback)

    sys.excepthook = excepthook


def _run(command):
    """Run the program; what it raises goes on to the interpreter."""
    sys.argv[:] = [command.program, *command.arguments]
    if command.kind != "file":
        sys.argv[0] = command.kind
    try:
        if command.kind == "-c":
            _run_code(command.program)
        elif command.kind == "-m":
            _run_module(command.program)
        else:
            _run_file(command.program)
    except SystemExit:
        raise
    except BaseException:
        _hide_frames()
        raise


def _fail(prog, text):
    print(f"{prog}: {text}", file=sys.stderr)
    print(f"Try: python -m {prog} --help", file=sys.stderr)
    return 2


def _print_usage(prog):
    from celadon import dropin

    parts = ", ".join(_parts())
    names = " or ".join(dropin.NAMES)
    print(USAGE.format(prog=prog, parts=parts, names=names), end="")


def _prepare(command, prog):
    """Do what the command line wants done before the program."""
    if command.dropin:
        from celadon import dropin

        dropin.activate()
    if not command.patched:
        return
    from celadon import monkey

    monkey.patch_all(**command.patch)
    if command.verbose:
        for module, items in monkey.saved.items():
            print(f"{prog}: {module}:", *sorted(items), file=sys.stderr)


def _print_info():
    """What was chosen here; of the interpreter too."""
    import platform

    from celadon import _core

    print(_core.report(), end="")
    print(
        f"python: {platform.python_implementation()} "
        f"{platform.python_version()}, {sys.executable}"
    )
    print(f"extension: {_core.__file__}")


def main(arguments=None, prog="celadon"):
    """Patch and run as the command line says; returns an exit code."""
    try:
        command = _Command(sys.argv[1:] if arguments is None else arguments)
    except _Usage as error:
        return _fail(prog, error)
    if command.answer == "help":
        _print_usage(prog)
        return 0
    if command.answer == "version":
        from celadon import __version__

        print(f"celadon {__version__}")
        return 0
    if command.answer == "info":
        _print_info()
        return 0
    if command.kind == "file" and not os.path.exists(command.program):
        return _fail(
            prog,
            f"can't open file {os.path.abspath(command.program)!r}: no such "
            "file",
        )
    _prepare(command, prog)
    _run(command)
    return 0


if __name__ == "__main__":
    sys.exit(main())
