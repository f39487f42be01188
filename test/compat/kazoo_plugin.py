"""Kazoo's own tests against one server that runs already: a plugin for pytest.

In place of the cluster of Java servers that kazoo.testing starts, they are given the server of
tools/ensemble. Results are told as TAP. No test is changed; those that cannot work are skipped and say why.
"""

import os
import subprocess
import sys
import types

import pytest

TOOL = os.environ["ZKSYNC_ENSEMBLE_TOOL"]
HOST, PORT = os.environ["ZKSYNC_DIRECT"].rsplit(":", 1)

# What needs more than one server that is configured as for everybody. Of a name the beginning counts.
NOT_HERE = {
    "TestReadOnlyMode": "needs three servers",
    "test_update_host_list": "needs three servers",
    "TestReconfig": "needs an ensemble that may be reconfigured",
    "TestSSLClient": "needs TLS",
    "TestSASL": "needs a server that knows SASL",
}


class Server:
    """What the tests use of kazoo.testing.common.ManagedZooKeeper."""

    address, client_port, running = f"{HOST}:{PORT}", int(PORT), True

    def ask(self, what):
        subprocess.run([sys.executable, TOOL, what, "1"], check=True)

    def run(self):
        if not self.running:
            self.ask("start")
            self.running = True

    def stop(self):
        if self.running:
            self.ask("kill")
            self.running = False


class Cluster(list):
    """What they use of ZookeeperCluster. A class of tests that ends its cluster leaves ours alone."""

    def start(self):
        for server in self:
            server.run()

    def terminate(self):
        self.start()

    def get_logs(self):
        return []


# What starts the Java servers is not even loaded: it needs modules for TLS that nothing here uses.
common = types.ModuleType("kazoo.testing.common")
common.ZookeeperCluster = Cluster
sys.modules[common.__name__] = common

import kazoo.testing.harness

CLUSTER = Cluster([Server()])
kazoo.testing.harness.get_global_cluster = lambda: CLUSTER


class Tap:
    def __init__(self):
        self.number = 0

    @staticmethod
    def say(line):
        # Not the stream that pytest has put in the place of it.
        print(line, file=sys.__stdout__, flush=True)

    def tell(self, ok, report, behind=""):
        self.number += 1
        module = os.path.splitext(os.path.basename(report.fspath))[0]
        name = ".".join([module, *report.nodeid.split("::")[1:]])
        self.say(f"{'ok' if ok else 'not ok'} {self.number} - {name}{behind}")

    def pytest_collection_modifyitems(self, items):
        for item in items:
            for name, reason in NOT_HERE.items():
                if any(part.startswith(name) for part in item.nodeid.split("::")):
                    item.add_marker(pytest.mark.skip(reason=reason))

    def pytest_collection_finish(self, session):
        self.say(f"1..{len(session.items)}")

    def pytest_collectreport(self, report):
        if report.failed:
            self.say("\n".join("# " + line for line in report.longreprtext.splitlines()))
            self.tell(False, report)

    def pytest_runtest_logreport(self, report):
        if report.skipped:
            reason = report.wasxfail if hasattr(report, "wasxfail") else report.longrepr[2]
            self.tell(True, report, f" # SKIP {reason.removeprefix('Skipped: ')}")
        elif report.failed:
            self.say("\n".join("# " + line for line in report.longreprtext.splitlines()))
            self.tell(False, report, "" if report.when == "call" else f" ({report.when})")
        elif report.when == "call":
            self.tell(True, report)


def pytest_addoption(parser):
    # What explains a failed assertion asks for it, and it goes with the plugin for the terminal.
    parser.addoption("--verbose", type=int, default=0)


def pytest_configure(config):
    config.pluginmanager.register(Tap())
