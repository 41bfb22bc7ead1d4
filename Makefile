# Celadon's front door.  Each target sets up what it needs, Debian packages
# included (as root or with sudo).  PYTHON=python3.x chooses the interpreter.
PYTHON ?= /usr/bin/python3
VENV := .venv$(if $(filter-out /usr/bin/python3,$(PYTHON)),-$(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])'))
PREFIX ?= /usr/local
export PYTHON VENV

.PHONY: build install venv demo test bench check matrix clean

# The C library, its tests and examples, and the extension: in build/main.
build:
	@scripts/setup.sh build
	@scripts/build.sh main

# The C library, headers, pkg-config file and manual, into PREFIX (and DESTDIR).
install:
	@scripts/setup.sh build
	@scripts/install.sh "$(PREFIX)"

# A virtual environment with celadon, rebuilt when its sources changed.
venv:
	@scripts/setup.sh build
	@scripts/venv.sh

# The talk: a threaded server, and the same with two lines on top.
demo:
	@scripts/setup.sh build demo
	@scripts/build.sh main
	@scripts/venv.sh
	$(VENV)/bin/python examples/showtime/run.py

# C unit tests over {epoll, poll, uring}, then the Python tests.
test:
	@scripts/check.sh unit python

bench:
	@scripts/setup.sh build demo
	@scripts/build.sh main
	@scripts/venv.sh
	$(VENV)/bin/python bench/run.py

# Everything: lint, gcc and clang, hard build, sanitizers, valgrind, Python.
check:
	@scripts/check.sh

# Our tests and greenlet's under Debian sid's CPythons, and one without the GIL.
matrix:
	@scripts/setup.sh build
	@scripts/matrix.sh
	@scripts/check.sh freethreaded

# suites-greenlet: greenlet's own test suite on ours, a scoreboard.
# suites-gevent-stock: gevent's own wheel on our greenlets, beside the real.
suites-%:
	@scripts/setup.sh build
	@scripts/venv.sh psutil objgraph
	$(VENV)/bin/python scripts/suites_$(subst -,_,$*).py

clean:
	rm -rf build .venv .venv-*
