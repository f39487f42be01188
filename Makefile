# A thin cover over CMake's presets and the programs in tools/.

PREFIX ?= /usr/local
DESTDIR ?=
JOBS ?= $(shell nproc)

# What `make check` builds and runs: see tools/run-tests --help.
CHECK_PRESETS ?= dev clang asan tsan
CHECK_RUNS ?= build/dev:unit build/clang:unit build/asan:unit build/tsan:unit build/dev:valgrind \
              build/dev:integration build/asan:integration build/tsan:integration
SOAK_TIMES ?= 10
SOAK_PRESETS ?= dev asan tsan

werror := -DZKSYNC_WERROR=$(if $(CI),ON,OFF)
build = cmake --preset $(1) $(werror) >/dev/null && cmake --build --preset $(1) -j $(JOBS)

.PHONY: all demo check ensemble bench lint format install soak clean

all:
	@$(call build,release)

demo:
	@tools/setup demo
	@$(call build,release)
	@tools/demo build/release

check:
	@tools/setup check
	@set -e; for preset in $(CHECK_PRESETS); do $(call build,$$preset); done
	@tools/lint build/dev
	@tools/run-tests $(CHECK_RUNS)

ensemble:
	@tools/setup demo
	@tools/ensemble up

bench:
	@tools/setup bench
	@$(call build,release)
	@bench/run

lint:
	@tools/lint

format:
	@git ls-files -z --cached --others --exclude-standard '*.c' '*.h' | xargs -0 clang-format -i

install: all
	@DESTDIR=$(DESTDIR) cmake --install build/release --prefix $(PREFIX)

soak:
	@tools/setup check
	@set -e; for preset in $(SOAK_PRESETS); do $(call build,$$preset); done
	@tools/run-tests --repeat $(SOAK_TIMES) $(SOAK_PRESETS:%=build/%)

clean:
	@rm -rf build
