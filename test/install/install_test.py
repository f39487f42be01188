#!/usr/bin/python3 -B
# For tools/run-tests. zksync-test: takes long
"""An installation into an empty prefix, used without the folder it was built in: what it consists of, and
every command of README.md and of the manual pages' examples, run as it is written."""

import concurrent.futures
import contextlib
import itertools
import os
import shutil
import subprocess
import sys
import tempfile
import traceback
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "cli"))

import blocks
import recipes
from harness import main
from world import Host, Place, ROOT, SYSTEM_PATH, UIDS, Result, unavailable, write

SHELLS = ("bash", "dash", "zsh")
README = os.path.join(ROOT, "README.md")
TRY_LINES = ["make demo     # installs what it needs (no Java), builds, and shows locks and barriers with real processes\n",
             "make check    # installs what it needs and runs the tests, also on five ZooKeeper servers; make soak runs more\n"]
C_LINES = ["tools/setup build      # once: the compiler and the libraries, on Debian\n",
           "sudo make install\n",
           "cc nightly.c $(pkg-config --cflags --libs zksync)\n"]
OWN_LINES = ["make install PREFIX=$HOME/zksync\n",
             "export PATH=$HOME/zksync/bin:$PATH PKG_CONFIG_PATH=$HOME/zksync/lib/pkgconfig\n"]


class Installed:
    """The sources are copied, built and installed as README says: into a prefix of one's own, and into
    /usr/local. Then the copy is removed."""

    folder = home = prefix = source = removed = staged = demo = reason = None

    @classmethod
    def make(cls):
        cls.reason = unavailable()
        cls.folder = tempfile.mkdtemp(prefix="zksync-test-install-")
        os.chmod(cls.folder, 0o755)
        cls.source, cls.home = f"{cls.folder}/source", f"{cls.folder}/home"
        cls.prefix = f"{cls.home}/zksync"
        shutil.copytree(ROOT, cls.source, symlinks=True, ignore=shutil.ignore_patterns("build", ".git"))
        cls.run(C_LINES[0])
        cls.run(OWN_LINES[0])
        cls.demo = cls.attempt(TRY_LINES[0])
        if cls.reason is None:
            cls.system()
        cls.staged = cls.run(f"make install DESTDIR={cls.folder}/stage PREFIX=/usr")
        removed = f"{cls.folder}/removed"
        cls.run(f"cmake --preset release -DCMAKE_INSTALL_LIBDIR=lib/deep/er && make install PREFIX={removed}")
        cls.deep = f"{cls.folder}/deep"
        shutil.copytree(removed, cls.deep, symlinks=True)
        cls.run(f"make uninstall PREFIX={removed}")
        cls.removed = [name for _, _, names in os.walk(removed) for name in names]
        shutil.rmtree(cls.source)

    @classmethod
    def run(cls, command):
        """Runs a command in the source folder, and returns what it prints."""
        done = cls.attempt(command)
        if done.returncode != 0:
            raise AssertionError(f"{command}: {done.stdout}")
        return done.stdout

    @classmethod
    def attempt(cls, command):
        env = {name: value for name, value in os.environ.items()
               if not name.startswith(("ZKSYNC_", "MAKE", "MFLAGS", "DESTDIR"))}
        return subprocess.run(["sh", "-c", command], cwd=cls.source, env={**env, "HOME": cls.home},
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, check=False)

    @classmethod
    def system(cls):
        """On a host of its own, where /usr/local is empty."""
        cls.local, cls.etc = f"{cls.folder}/local", f"{cls.folder}/etc"
        os.mkdir(cls.local)
        copy_etc(cls.etc)
        with contextlib.closing(cls.host("installing", system=True, source=True)) as host:
            write(f"{host.bin}/sudo", '#!/bin/sh\nexec "$@"\n', 0o755)
            env = {"PATH": f"{host.bin}:{SYSTEM_PATH}", "HOME": host.homes[0]}
            env.update({name: os.environ[name] for name in os.environ if name.startswith(("CCACHE", "CMAKE"))})
            ended = Result(host.start(["sh", "-c", "sudo make install"], env, folder=cls.source))
            if ended.code != 0:
                raise AssertionError(ended.out + ended.err)

    @classmethod
    def host(cls, name, system=False, **options):
        if system:
            options.update(local=cls.local, etc=cls.etc)
        return Host(cls.folder, "/usr/local" if system else cls.prefix, name, **options)


def copy_etc(to):
    """/etc, as far as it can be read."""
    subprocess.run(["cp", "-a", "--no-preserve=ownership", "/etc", to], check=False, capture_output=True)


def setUpModule():
    unittest.addModuleCleanup(lambda: shutil.rmtree(Installed.folder, ignore_errors=True))
    Installed.make()


class Case(unittest.TestCase):
    def host(self, name, **options):
        host = Installed.host(name, **options)
        self.addCleanup(host.close)
        return host

    def place(self, host, environment="login", uid=0, shell="bash"):
        return Place(host, environment, uid, shell)


class Prefix(Case):
    """What is installed."""

    def files(self, folder="."):
        for path, _, names in os.walk(os.path.join(Installed.prefix, folder)):
            yield from (os.path.join(path, name) for name in names)

    def test_no_file_names_the_build_folder(self):
        count = 0
        for path in self.files():
            with open(path, "rb") as file:
                self.assertNotIn(Installed.source.encode(), file.read(), path)
            count += 1
        self.assertGreater(count, 20)

    def test_run_paths(self):
        for name, expected in (("bin/zksync", "[$ORIGIN/../lib]"), ("lib/libzksync.so", None),
                               ("lib/libzksync-server.so", None)):
            shown = subprocess.run(["readelf", "-d", f"{Installed.prefix}/{name}"], check=True,
                                   capture_output=True, text=True).stdout
            found = [line.split()[-1] for line in shown.splitlines() if "(RUNPATH)" in line or "(RPATH)" in line]
            self.assertEqual(found, [expected] if expected else [], name)

    def test_pages_units_and_completions_are_there(self):
        for name in ("man/man1/zksync.1", "man/man7/zksync.7", "bash-completion/completions/zksync",
                     "zsh/site-functions/_zksync", "fish/vendor_completions.d/zksync.fish"):
            self.assertTrue(os.path.isfile(f"{Installed.prefix}/share/{name}"), name)

    def test_units_name_the_installed_program(self):
        for name in ("user/zksync.service", "system/zksync-server.service"):
            unit = f"{Installed.prefix}/lib/systemd/{name}"
            with open(unit, encoding="utf-8") as file:
                started = [line.split("=", 1)[1].lstrip("-").split()[0] for line in file if
                           line.startswith("ExecStart")]
            self.assertEqual(set(started), {f"{Installed.prefix}/bin/zksync"}, name)

    def test_uninstall_removes_every_file(self):
        self.assertEqual(Installed.removed, [])

    def test_a_staged_installation_names_the_prefix(self):
        self.assertIn("Run ldconfig as root", Installed.staged)
        with open(f"{Installed.folder}/stage/usr/lib/pkgconfig/zksync.pc", encoding="utf-8") as file:
            text = file.read()
        self.assertIn("prefix=/usr\n", text)
        self.assertNotIn("rpath", text)

    def test_any_folder_of_libraries(self):
        shown = subprocess.run([f"{Installed.deep}/bin/zksync", "--version"], env={}, check=True,
                               capture_output=True, text=True).stdout
        self.assertRegex(shown, r"^zksync \d")

    def test_shells_load_the_completions(self):
        prefix = Installed.prefix
        env = {"PATH": f"{prefix}/bin:{SYSTEM_PATH}", "HOME": Installed.folder}
        for command in (
                ["bash", "-c", f'. {prefix}/share/bash-completion/completions/zksync; COMP_LINE="zksync pin"; '
                               'COMP_POINT=10; _zksync; echo "${COMPREPLY[@]}"'],
                # The function is loaded at its first use, which must complete too.
                ["zsh", "-fc", f"fpath=({prefix}/share/zsh/site-functions $fpath); autoload -U compinit; "
                               "compinit -D -u; compadd() { print -r -- ${@[-1]} }; words=(zksync pin); "
                               "CURRENT=2; $_comps[zksync]"],
                ["fish", "-c", f"set -x XDG_DATA_DIRS {prefix}/share; complete -C 'zksync pin'"],
                ["fish", "-c", "complete -C 'zksync pin'"]):
            shown = subprocess.run(command, env={**env, "XDG_DATA_DIRS": f"{prefix}/share"}, check=False,
                                   capture_output=True, text=True)
            self.assertIn("ping", shown.stdout.split(), (command[0], shown))

    def test_shells_find_the_completions_of_usr_local(self):
        """Without a setting; fish by the variable that desktops set."""
        if Installed.reason:
            self.skipTest(Installed.reason)
        host = self.host("completions", system=True)
        env = host.login(0)
        for env, command in (
                (env, ["zsh", "-fc", "autoload -U compinit; compinit -D -u; compadd() { print -r -- ${@[-1]} }; "
                                     "words=(zksync pin); CURRENT=2; $_comps[zksync]"]),
                ({**env, "XDG_DATA_DIRS": "/usr/local/share:/usr/share"}, ["fish", "-c", "complete -C 'zksync pin'"])):
            ended = Result(host.start(command, env))
            self.assertIn("ping", ended.out.split(), (command[0], ended.err))

    def test_systemd_accepts_the_units(self):
        """Those that are installed, and those of the manual page."""
        if Installed.reason:
            self.skipTest(Installed.reason)
        host = self.host("units")
        write(f"{host.folder}/sbin/maild", "#!/bin/sh\n", 0o755)
        units = f"{Installed.prefix}/lib/systemd"
        paths = [f"{units}/user/zksync.service", f"{units}/system/zksync-server.service"]
        texts = [text for _, text in blocks.of_manual(f"{Installed.prefix}/share/man/man1/zksync.1")]
        more = next(text for text in texts if text.startswith("NotifyAccess="))
        services = [text for text in texts if text.startswith("[Service]")]
        for number, text in enumerate([*services, services[0] + "Type=notify\n" + more]):
            paths.append(write(f"{host.folder}/mail{number}.service", text))
        self.assertEqual(len(paths), 5)
        for path in paths:
            scope = "--user" if "/user/" in path else "--system"
            ended = Result(host.start(["systemd-analyze", "verify", "--man=no", scope, path],
                                      {**host.login(0), "XDG_RUNTIME_DIR": host.folder}))
            about = [line for line in ended.err.splitlines() if os.path.basename(path) in line]
            self.assertEqual((ended.code, about), (0, []), ended.err)


class Program(Case):
    """README's program in C, in a prefix of one's own and in /usr/local."""

    def setUp(self):
        if Installed.reason:
            self.skipTest(Installed.reason)
        self.text, *lines = (text for section, text in blocks.of_readme(README) if section == "C")
        self.assertEqual(lines, ["".join(C_LINES), "".join(OWN_LINES)])

    def built(self, host, own, cc=C_LINES[2], uid=UIDS[-1]):
        """README's program, built in its own prefix after README's line that sets the variables for it."""
        place = self.place(host, uid=uid)
        write(place.file("nightly.c"), self.text)
        env = {"HOME": Installed.home, "PATH": SYSTEM_PATH}
        ended = place.script((OWN_LINES[1] if own else "") + cc, env=env)
        self.assertEqual(ended.code, 0, ended.err)
        return place

    def libraries(self, place, program):
        """Where the loader finds each library of a program, by the first part of its name."""
        listed = place.script(f"LD_TRACE_LOADED_OBJECTS=1 {program}\n")
        self.assertEqual(listed.code, 0, listed.err)
        pairs = (line.split(" => ") for line in listed.out.splitlines() if " => " in line)
        return {name.strip().split(".")[0]: os.path.realpath(path.split()[0]) for name, path in pairs}

    def run_it(self, place, program="./a.out"):
        ended = place.script(f"{program}\n")
        self.assertEqual((ended.code, ended.err), (0, ""))
        self.assertRegex(ended.out, r"^held, token \d+\n$")

    def test_in_a_prefix_of_ones_own(self):
        host = self.host("own")
        host.serve()
        for uid in UIDS:
            place = self.built(host, True, uid=uid)
            self.run_it(place)
            self.assertEqual(self.libraries(place, "./a.out")["libzksync"],
                             f"{Installed.prefix}/lib/libzksync.so.0.1.0")

    def test_in_usr_local(self):
        host = self.host("system", system=True)
        host.serve()
        for uid in UIDS:
            place = self.built(host, False, uid=uid)
            self.run_it(place)
            self.assertEqual(place.script("readelf -d a.out | grep -c PATH").out, "0\n")

    def test_each_copy_uses_its_own_libraries(self):
        host = self.host("both", system=True)
        for prefix in (Installed.prefix, "/usr/local"):
            place = self.place(host)
            found = self.libraries(place, f"{prefix}/bin/zksync")
            self.assertEqual({found[name].rsplit("/", 1)[0] for name in ("libzksync", "libzksync-server")},
                             {f"{prefix}/lib"})
        place = self.built(host, True)
        self.assertEqual(self.libraries(place, "./a.out")["libzksync"],
                         f"{Installed.prefix}/lib/libzksync.so.0.1.0")

    def test_statically(self):
        """The library is linked statically, and what it needs is not."""
        host = self.host("static")
        host.serve()
        place = self.built(host, True, "cc nightly.c $(pkg-config --cflags zksync) -Wl,-Bstatic $(pkg-config "
                           "--libs zksync) -Wl,-Bdynamic $(pkg-config --static --libs zksync)\n")
        self.run_it(place)
        self.assertNotIn("libzksync", self.libraries(place, "./a.out"))

    def test_by_cmake(self):
        host = self.host("cmake")
        host.serve()
        place = self.place(host, uid=UIDS[-1])
        write(place.file("nightly.c"), self.text)
        write(place.file("CMakeLists.txt"), """cmake_minimum_required(VERSION 3.25)
project(nightly LANGUAGES C)
find_package(zksync 0.1 REQUIRED)
foreach(library zksync zksync_static)
    add_executable(with_${library} nightly.c)
    target_link_libraries(with_${library} PRIVATE zksync::${library})
endforeach()
add_executable(with_server nightly.c)
target_link_libraries(with_server PRIVATE zksync::zksync zksync::zksync_server)
""")
        ended = place.script(f"cmake -S . -B out -DCMAKE_PREFIX_PATH={Installed.prefix} && cmake --build out\n")
        self.assertEqual(ended.code, 0, ended.out + ended.err)
        for program in ("zksync", "zksync_static", "server"):
            self.run_it(place, f"out/with_{program}")

    def test_starts_the_server_that_was_installed_with_it(self):
        """As its user's local server, with no zksync in PATH, whatever the folder of the libraries is."""
        uid = UIDS[-1]
        for prefix, libraries in ((Installed.prefix, "lib"), (Installed.deep, "lib/deep/er")):
            host = self.host(f"local-{len(libraries)}")
            place = self.built(host, True, uid=uid)
            env = {"HOME": host.homes[uid], "PATH": SYSTEM_PATH, "ZKSYNC_SERVERS": "local",
                   "LD_LIBRARY_PATH": f"{prefix}/{libraries}"}
            ended = place.script("./a.out\n", env=env)
            self.assertRegex(ended.out, r"^held, token \d+\n$", ended.err)
            shown = place.script("for exe in /proc/[0-9]*/exe; do readlink $exe; done\n", env=env)
            self.assertIn(f"{prefix}/bin/zksync\n", shown.out)


class Examples(Case):
    """Each example of the manual pages and each command of README, literally."""

    def setUp(self):
        if Installed.reason:
            self.skipTest(Installed.reason)

    def manuals(self):
        for page in ("man1/zksync.1", "man7/zksync.7"):
            for section, text in blocks.of_manual(f"{Installed.prefix}/share/man/{page}"):
                yield page, section, text

    def examples(self):
        """Those of the manual pages, as (first line, text, what runs and checks it)."""
        for _, _, text in self.manuals():
            begin = recipes.of_block(text)
            if recipes.MANUAL.get(begin):
                yield begin, text, recipes.MANUAL[begin]

    def lines(self, local):
        """Those of README, after its line that chooses the local server or the others."""
        lines = self.shell_lines()
        for line in lines:
            begin = recipes.of_line(line)
            if begin and recipes.README[begin]:
                yield begin, lines[0 if local else 1] + line, recipes.README[begin]

    def shell_lines(self):
        return next(text for section, text in blocks.of_readme(README) if section == "Shell").splitlines(True)

    def test_readme_has_no_other_commands(self):
        sections = [section for section, _ in blocks.of_readme(README)]
        self.assertEqual(sections, ["Try it", "C", "C", "C", "Shell"])

    def test_the_demo(self):
        self.assertEqual(blocks.of_readme(README)[0][1], "".join(TRY_LINES))
        self.assertEqual(Installed.demo.returncode, 0, Installed.demo.stdout)

    def test_each_has_a_check_and_each_check_has_one(self):
        begins = [recipes.of_block(text) for _, _, text in self.manuals()]
        self.assertEqual(sorted(begins), sorted(recipes.MANUAL))
        self.assertEqual([recipes.of_line(line) for line in self.shell_lines()], list(recipes.README))

    def test_the_manual_pages_show_what_is_run(self):
        for page, _, text in self.manuals():
            shown = subprocess.run(["mandoc", "-T", "ascii", "-O", "width=200",
                                    f"{Installed.prefix}/share/man/{page}"], check=True,
                                   capture_output=True, text=True).stdout
            shown = "\n".join(line.strip() for line in shown.splitlines())
            self.assertIn("\n".join(line.strip() for line in text.splitlines()), shown)

    def run_all(self, environment):
        """The examples have paths of their own on the servers, so each shell has a host of its own."""
        choice = self.choice(environment)
        hosts = [self.host(f"{environment}-{shell}") for shell in choice]
        for host in hosts:
            host.serve()
        with concurrent.futures.ThreadPoolExecutor(len(SHELLS)) as pool:
            failed = sum(pool.map(self.failed, hosts, itertools.repeat(environment), choice, choice.values()), [])
        self.assertEqual(failed, [], "\n" + "\n".join(failed))

    def choice(self, environment):
        """The shells and their users: all, or bash and another one, so that each user has each environment, and
        each shell, with something else."""
        if os.environ.get("ZKSYNC_TEST_ALL") == "1":
            return dict.fromkeys(SHELLS, UIDS)
        number = Place.ENVIRONMENTS.index(environment)
        turn = number + (number > 1)  # So that fish, which goes with bash, is root's in a container.
        return {shell: [UIDS[(turn + i) % len(UIDS)]]
                for i, shell in enumerate((SHELLS[0], SHELLS[1 + number % 2]))}

    def failed(self, host, environment, shell, uids):
        """Runs all examples with a shell, and tells of those that fail."""
        failed = []
        for uid, local in itertools.product(uids, (False, True)):
            # In a container there is no other process to share a local server with.
            if local and (environment == "container" or shell != SHELLS[0]):
                continue
            place = Place(host, environment, uid, shell, local)
            for name, text, check in [*self.lines(local), *([] if local else self.examples())]:
                try:
                    check(self, place, text)
                except Exception:  # One that fails says nothing of the others.
                    failed.append(f"{place.name}: {name}\n{traceback.format_exc(limit=-2)}")
        return failed


def test_of(environment):
    return lambda self: self.run_all(environment)


for kind in Place.ENVIRONMENTS:
    setattr(Examples, f"test_all_in_the_environment_of_a_{kind}", test_of(kind))


if __name__ == "__main__":
    main()
