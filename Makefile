# A thin cover over CMake's presets and the programs in tools/.

PREFIX ?= /usr/local
DESTDIR ?=
JOBS ?= $(shell nproc)

# What `make check` builds, in this order, and runs: see tools/run-tests --help. unit_journal_crash takes
# minutes under valgrind, which sees no more of it than the address sanitizer. In programs of one thread the
# thread sanitizer has nothing to see. dev is built by gcc, the others by clang.
ONE_THREAD = unit_(lease|lease_model|round|tree|tree_.*|name|litter|listing|queue|journal_damage)|trace_test
CHECK_RUNS ?= build/dev:unit build/dev:sim build/dev:integration build/dev:local:integration_tree build/dev:chaos \
              'build/dev:valgrind:^(unit|trace)_(?!journal_crash)' build/dev:valgrind:sim_seeds \
              build/asan:unit build/asan:sim:sim_plans \
              'build/asan:local:integration_(?!tree|install|cli_contract)' \
              'build/tsan:unit:^(?!($(ONE_THREAD))$$)' 'build/tsan:local:integration_(?!tree|cli|install)' build/fuzz:unit
# Further commands of it; one that prints the Test Anything Protocol reports its tests by that.
CHECK_ALSO ?= --also 'tools/lint build/dev' --also 'tools/mutants --build build/dev --sample 10'
# What `make check-fast` runs, with one build and without ZooKeeper: for the inner loop.
FAST_RUNS ?= 'build/dev:unit:(?!unit_journal_crash)' 'build/dev:sim:sim_(plans|seeds)' \
             'build/dev:local:integration_(?!(install|cli_(contract|many|completion|signals|look|kazoo|terminal)|counter)$$)'
FAST_WAITING ?= 12
SOAK_TIMES ?= 10
SOAK_PRESETS ?= dev asan tsan
SOAK_SECONDS ?= 3600
SOAK_REQUESTS ?= 1000000

werror := -DZKSYNC_WERROR=$(if $(CI),ON,OFF)
# The first of seeds that no run has played, printed; or the one that is given.
first_seed = $${ZKSYNC_SIM_FIRST:-$$(tools/first-seed $(1))}
build = cmake --preset $(1) $(werror) >/dev/null && cmake --build --preset $(1) -j $(JOBS)

.PHONY: all demo check check-fast mutants compat compare sim ensemble bench lint format install uninstall soak soak-sim soak-server soak-chaos chaos clean

all:
	@$(call build,release)

demo:
	@tools/setup demo
	@$(call build,release)
	@tools/demo build/release

check:
	@tools/setup check
	@set -e; first=$(call first_seed,check); ZKSYNC_SIM_FIRST=$$first \
	    tools/run-tests --build '$(call build,%)' $(CHECK_ALSO) $(CHECK_RUNS)

check-fast:
	@set -e; first=$(call first_seed,check-fast); ZKSYNC_SIM_FIRST=$$first \
	    ZKSYNC_TEST_SLOW=1 ZKSYNC_SIM_HISTORIES=5000 ZKSYNC_TREE_OPS=5000 ZKSYNC_CRASHES=3 \
	    tools/run-tests --waiting $(FAST_WAITING) --build '$(call build,%)' $(FAST_RUNS)

# Every known fault that the tests must notice: see tools/mutants --help.
mutants:
	@tools/setup check
	@$(call build,dev)
	@tools/mutants $(MUTANTS)

# Other people's clients with the local server and with ZooKeeper's, and what differs.
compat:
	@tools/setup compat
	@$(call build,dev) --target zksync_cli
	@test/compat/run --real

# The tree beside servers of ZooKeeper 3.8 and of 3.9; ZKSYNC_TREE_OPS says how many requests, ZKSYNC_TREE_SEED
# which.
compare:
	@tools/setup check
	@$(call build,dev) --target integration_tree_server
	@tools/ensemble run --servers 3 --no-proxy -- build/dev/test/integration/integration_tree_server
	@tools/ensemble run --release 3.9 --or-skip --servers 3 --no-proxy -- build/dev/test/integration/integration_tree_server

# make sim SEED=N tells the history of a seed, make sim PLAN=FILE that of a plan.
sim:
	@tools/setup check
	@$(call build,dev) --target sim
	@build/dev/test/sim/sim $(if $(PLAN),plan $(PLAN),seed $(SEED))

# Faults on five real servers for so many seconds: see test/chaos/run --help and docs/chaos.md.
chaos:
	@tools/setup chaos
	@$(call build,dev)
	@test/chaos/run --seconds $(or $(SECONDS),600) $(CHAOS)

ensemble:
	@tools/setup ensemble
	@tools/ensemble up

bench:
	@tools/setup bench
	@$(call build,release)
	@bench/run
	@bench/run_server

lint:
	@tools/lint

format:
	@git ls-files -z --cached --others --exclude-standard '*.c' '*.h' | xargs -0 clang-format -i

# The shell does not expand ~ behind PREFIX= everywhere. The list of files is the last user's.
prefix = $(patsubst ~/%,$(HOME)/%,$(PREFIX))

install: all
	@rm -f build/release/install_manifest.txt
	@DESTDIR='$(DESTDIR)' cmake --install build/release --prefix '$(prefix)'

uninstall:
	@DESTDIR='$(DESTDIR)' cmake -DBUILD=build/release -DPREFIX='$(prefix)' -P cmake/uninstall.cmake

soak:
	@tools/setup check
	@set -e; for preset in $(SOAK_PRESETS); do $(call build,$$preset); done
	@tools/mutants
	@$(MAKE) --no-print-directory soak-sim soak-server soak-chaos
	@ZKSYNC_TEST_ALL=1 tools/run-tests --repeat $(SOAK_TIMES) \
	    $(foreach p,$(SOAK_PRESETS),build/$(p):unit build/$(p):integration)
	@ZKSYNC_TEST_ALL=1 ZKSYNC_TEST_LIMIT_S=36000 tools/run-tests build/dev:valgrind

# Histories that no run has seen, all of the sweep, deeper explorations, more requests for the tree, and
# which branches of the core the histories take.
soak-sim:
	@tools/setup check
	@$(call build,dev)
	@$(call build,asan)
	@set -e; first=$(call first_seed,soak-asan); ZKSYNC_SIM_FIRST=$$first \
	    ZKSYNC_TEST_LIMIT_S=3600 tools/run-tests 'build/asan:sim:sim_(seeds|sweep)'
	@set -e; first=$(call first_seed,soak); ZKSYNC_SIM_FIRST=$$first \
	    ZKSYNC_SIM_SECONDS=$(SOAK_SECONDS) ZKSYNC_SIM_STORMS=4 ZKSYNC_TEST_LIMIT_S=36000 \
	    tools/run-tests build/dev:sim:sim_seeds
	@ZKSYNC_SIM_SWEEP=1 ZKSYNC_SIM_DEEPER=3 ZKSYNC_TEST_LIMIT_S=36000 \
	    tools/run-tests "build/dev:sim:sim_(sweep|finals|coverage|explore)"
	@ZKSYNC_TREE_SEED=$$(date +%s) ZKSYNC_TREE_OPS=$(SOAK_REQUESTS) ZKSYNC_TEST_LIMIT_S=36000 \
	    tools/run-tests build/dev:integration:tree_server
	@tools/coverage

# The local server: 500 sessions and 10,000 locks for an hour, beside a watcher that lags behind and znodes that
# come and go, 200 crashes, an hour of fuzzing, as many requests beside a real server, and kills for five minutes.
soak-server:
	@tools/setup check
	@$(call build,dev)
	@$(call build,fuzz)
	@build/dev/test/server/soak_server $(SOAK_SECONDS) 500 10000
	@ZKSYNC_CRASHES=200 ZKSYNC_TEST_LIMIT_S=3600 tools/run-tests build/dev:unit:unit_server_crash
	@ZKSYNC_TREE_SEED=$$(date +%s) ZKSYNC_TREE_OPS=$(SOAK_REQUESTS) ZKSYNC_TEST_LIMIT_S=36000 \
	    tools/run-tests build/dev:local:integration_tree
	@ZKSYNC_FUZZ_SECONDS=$(SOAK_SECONDS) ZKSYNC_TEST_LIMIT_S=36000 tools/run-tests build/fuzz:unit
	@ZKSYNC_SOAK_SECONDS=300 ZKSYNC_TEST_LIMIT_S=36000 tools/run-tests build/dev:local:integration_cli_heal

# The faults that chaos must find, a leader that is stopped 100 times, and an hour of all faults.
soak-chaos:
	@tools/setup chaos
	@$(call build,dev)
	@test/chaos/mutants
	@test/chaos/run --profile leader --seconds 600
	@test/chaos/run --seconds $(SOAK_SECONDS)

clean:
	@rm -rf build
