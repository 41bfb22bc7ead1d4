# Celadon's front door.  Each target sets up what it needs, Debian packages
# included (as root or with sudo).  PYTHON=python3.x chooses the interpreter.
PYTHON ?= /usr/bin/python3
VENV := .venv$(if $(filter-out /usr/bin/python3,$(PYTHON)),-$(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])'))
PREFIX ?= /usr/local
READY := scripts/setup.sh build demo && scripts/build.sh main && scripts/venv.sh
export PYTHON VENV

.PHONY: build help install venv demo test bench check matrix clean

# The C library, its tests and examples, and the extension: in build/main.
build:
	@scripts/setup.sh build && scripts/build.sh main

# This list.
help:
	@awk '/^# / { t = t " " substr($$0, 3) } /^$$/ { t = "" } \
	/^[a-z%-]+:/ { sub(/:.*/, ""); printf "make %-9s%s\n", $$0, t }' Makefile

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
	@$(READY)
	$(VENV)/bin/python examples/showtime/run.py

# C unit tests over {epoll, poll, uring}, then the Python tests.
test:
	@scripts/check.sh unit python

# All benchmarks, some seven minutes.
bench:
	@$(READY)
	$(VENV)/bin/python bench/run.py

# Everything: lint, gcc and clang, hard build, sanitizers, valgrind, Python.
check:
	@scripts/check.sh

# Our tests and greenlet's under Debian sid's CPythons, and one without the GIL.
matrix:
	@scripts/setup.sh build && scripts/matrix.sh
	@scripts/check.sh freethreaded

# %: greenlet (its own tests) or gevent-stock (its wheel), on our greenlets.
suites-%:
	@scripts/setup.sh build && scripts/venv.sh psutil objgraph
	$(VENV)/bin/python scripts/suites_$(subst -,_,$*).py

# Away with all that was built.
clean:
	rm -rf build .venv .venv-*
