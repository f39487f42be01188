#!/usr/bin/python3 -B
"""Settings: which servers are used, where that is configured, and that nothing is used that was not chosen."""

import os
import subprocess

from harness import NOBODY, BUILD, DIRECT, SERVERS, ZKSYNC, die_with_parent, main
from local import Local
from namespace import HostFile

EXAMPLE = os.path.join(BUILD, "examples", "rwlock")
THREE_WAYS = ("--local", "ZKSYNC_SERVERS=local", '"servers = local"')
NEEDS_SERVERS = (["lock", "/a", "true"], ["hold", "/a"], ["hold", "-b", "/a"], ["barrier", "set", "/a"],
                 ["barrier", "wait", "/a"], ["double-barrier", "-n", "1", "/a", "true"], ["status", "/a"],
                 ["ls", "/"], ["watch", "/a"], ["break", "--yes", "/a"], ["ping"])


class Settings(Local):
    """A user with a home of its own."""

    def setUp(self):
        super().setUp()
        self.user_file = os.path.join(self.home, ".config", "zksync.conf")
        os.makedirs(os.path.dirname(self.user_file))

    def plain(self, **variables):
        """An environment in which nothing is configured, but by files."""
        given = {"ZKSYNC_SERVERS": None, "ZKSYNC_CONFIG": None, "XDG_CONFIG_HOME": None}
        given.update(variables)
        return self.local(**given)

    def write(self, text, path=None, mode=0o644):
        with open(path or self.user_file, "w", encoding="utf-8") as file:
            file.write(text)
            os.fchmod(file.fileno(), mode)

    def run_plain(self, *words, **variables):
        return self.zksync(*words, env=self.plain(**variables))

    def settings(self, *words, **variables):
        result = self.run_plain(*words, "config", "--json", **variables)
        self.assertEqual((result.code, result.err), (0, ""))
        return result.json()

    def origin(self, setting, *words, **variables):
        found = self.settings(*words, **variables)[setting]
        return found["value"], found["origin"]


class Closed(Settings):
    def refused(self, result, *named):
        self.assertEqual(result.code, 78, result.err)
        for text in named:
            self.assertIn(text, result.err)
        self.assertFalse(os.path.exists(self.state), "a local server was started")

    def test_no_servers_are_named(self):
        for words in NEEDS_SERVERS:
            self.refused(self.run_plain(*words), *THREE_WAYS)
        result = self.run_plain("hold", "-b", "/a")
        self.assertEqual(result.out, "/bin/sh -c 'exit 78'\n")

    def test_an_empty_value_names_none(self):
        self.write("servers = local\n")  # What an empty variable stands for is not known.
        self.refused(self.run_plain("lock", "/a", "true", ZKSYNC_SERVERS=""), "ZKSYNC_SERVERS", *THREE_WAYS)
        self.refused(self.run_plain("--servers", "", "lock", "/a", "true"), "--servers", *THREE_WAYS)
        self.write("servers =\n")
        self.refused(self.run_plain("lock", "/a", "true"), f"{self.user_file}:1", *THREE_WAYS)
        self.write("servers = local\n")
        for variable in ("ZKSYNC_ROOT", "ZKSYNC_AUTH_FILE", "ZKSYNC_SESSION_TIMEOUT",
                         "ZKSYNC_CONNECT_TIMEOUT"):
            self.refused(self.run_plain("lock", "/a", "true", **{variable: ""}), variable)

    def test_an_option_goes_before_an_empty_variable(self):
        result = self.run_plain("--servers", SERVERS, "lock", self.path, "true", ZKSYNC_SERVERS="")
        self.assertEqual((result.code, result.err), (0, ""))

    def test_the_environments_of_cron_and_systemd(self):
        for env in ({"HOME": self.home, "LOGNAME": "user", "SHELL": "/bin/sh", "PATH": "/usr/bin:/bin"},
                    {"PATH": "/usr/bin:/bin", "INVOCATION_ID": "0" * 32}, {}):
            env.setdefault("XDG_STATE_HOME", os.path.join(self.home, "state"))
            env.setdefault("XDG_CONFIG_HOME", os.path.join(self.home, "none"))
            if not os.path.exists("/etc/zksync.conf"):
                self.refused(self.zksync("lock", "/a", "true", env=env), *THREE_WAYS)

    def test_the_library(self):
        for variables in ({}, {"ZKSYNC_SERVERS": ""}):
            run = self.spawn([EXAMPLE, "write", "/a", "0"], env=self.plain(**variables))
            self.assertEqual(run.wait(), 1)
            self.assertIn("No servers are named", run.err)
            self.assertFalse(os.path.exists(self.state))

    def test_help_needs_no_settings(self):
        self.write("no line\n")
        for words in (["--help"], ["lock", "--help"], ["--version"], ["completion", "bash"]):
            self.assertEqual(self.run_plain(*words).code, 0, words)


class Chosen(Settings):
    def test_the_local_server_is_chosen(self):
        self.assertEqual(self.run_plain("--local", "lock", "/a", "true").code, 0)
        self.assertEqual(self.run_plain("lock", "--local", "/a", "true").code, 0)
        self.assertEqual(self.run_plain("lock", "/a", "true", ZKSYNC_SERVERS="local").code, 0)
        self.write("servers = local\n")
        self.assertEqual(self.run_plain("lock", "/a", "true").code, 0)
        run = self.spawn([EXAMPLE, "write", "/a", "0"], env=self.plain())
        self.assertEqual(run.wait(), 0, run.err)

    def test_credentials_are_for_the_servers_that_are_named_with_them(self):
        auth = self.private("auth", "digest:user:password")
        self.write(f"servers = a:1\nauth-file = {auth}\n")
        line = f"auth-file        {auth}  ({self.user_file}:2, not used for these servers)\n"
        for words, variables in (["--local"], {}), (["--servers", "b:2"], {}), ([], {"ZKSYNC_SERVERS": "b:2"}):
            self.assertIn(line, self.run_plain(*words, "config", **variables).out)
        self.assertIn(f"({self.user_file}:2)", self.run_plain("config").out)
        for name in ("first", "second"):  # Were they presented, the second user would be shut out.
            variables = {} if name == "first" else {"ZKSYNC_CONFIG": "/dev/null"}
            self.assertEqual(self.run_plain("--local", "lock", f"/cred/{name}", "true", **variables).code, 0)
        env = {"ZKSYNC_SERVERS": "local", "ZKSYNC_AUTH_FILE": auth}
        self.assertNotIn("not used", self.run_plain("config", **env).out)

    def test_credentials_that_are_not_used_need_not_be_readable(self):
        self.write(f"servers = {SERVERS}\nauth-file = /no/such/file\n")
        origin = f"auth-file        /no/such/file  ({self.user_file}:2"
        for words, variables in (["--local"], {}), (["--servers", SERVERS], {}), ([], {"ZKSYNC_SERVERS": SERVERS}):
            result = self.run_plain(*words, "lock", self.path, "true", **variables)
            self.assertEqual((result.code, result.err), (0, ""), words)
            result = self.run_plain(*words, "config", **variables)
            self.assertEqual((result.code, result.err), (0, ""), words)
            self.assertIn(f"{origin}, not used for these servers)\n", result.out)
        run = self.spawn([EXAMPLE, "write", self.path, "0"], env=self.plain(ZKSYNC_SERVERS=SERVERS))
        self.assertEqual(run.wait(), 0, run.err)
        for words in (["lock", self.path, "true"], ["config"]):
            result = self.run_plain(*words)
            self.assertEqual(result.code, 78, words)
            self.assertIn(f"{self.user_file}:2: /no/such/file: No such file or directory", result.err)
        self.assertIn(f"{origin})\n", result.out)

    def test_verbose_says_which_servers_and_why(self):
        result = self.run_plain("-v", "--local", "lock", "/a", "true")
        self.assertIn("zksync: using the local server at ", result.err)
        self.assertIn("(from --local)\n", result.err)
        for words in NEEDS_SERVERS:
            result = self.run_plain("-v", *words, ZKSYNC_SERVERS=NOBODY, ZKSYNC_CONNECT_TIMEOUT="100ms")
            self.assertEqual(result.code, 69, result.err)
            self.assertIn(f"zksync: using the servers {NOBODY} (from ZKSYNC_SERVERS)\n", result.err, words)
        self.write(f"# mine\n\nservers = {SERVERS}\n")
        result = self.run_plain("-v", "lock", self.path, "true")
        self.assertIn(f"using the servers {SERVERS} (from {self.user_file}:3)\n", result.err)

    def test_subcommands_that_look_ask_for_a_short_session(self):
        """As libzookeeper logs it; a shorter one is that of -T."""
        for words, asked in ((["lock", self.path, "true"], 20), (["ping"], 20), (["barrier", "set", self.path], 6),
                             (["barrier", "wait", "-n", self.path], 6), (["barrier", "unset", self.path], 6),
                             (["status", self.path], 6), (["ls", self.path], 6), (["break", "--yes", self.path], 6),
                             (["-T", "4", "status", self.path], 4)):
            result = self.run_plain("-vv", *words, ZKSYNC_SERVERS=SERVERS)
            self.assertIn(f" sessionTimeout={asked}000 ", result.err, words)

    def test_the_order_of_the_sources(self):
        other = os.path.join(self.home, "other.conf")
        self.assertEqual(self.run_plain("config").code, 78)
        self.write("root = /file\nservers = local\n")
        self.write("root = /other\nservers=local", path=other)
        self.assertEqual(self.origin("root"), ("/file", f"{self.user_file}:1"))
        self.assertEqual(self.origin("root", ZKSYNC_CONFIG=other), ("/other", f"{other}:1"))
        self.assertEqual(self.origin("root", ZKSYNC_ROOT="/env"), ("/env", "ZKSYNC_ROOT"))
        self.assertEqual(self.origin("root", "--root", "/given", ZKSYNC_ROOT="/env"), ("/given", "--root"))
        self.assertEqual(self.origin("servers", "--local", ZKSYNC_SERVERS=SERVERS), ("local", "--local"))
        self.assertEqual(self.origin("session-timeout"), ("20s", "default"))
        self.assertEqual(self.origin("connect-timeout"), ("15s", "default"))
        config_home = os.path.join(self.home, "elsewhere")
        os.mkdir(config_home)
        self.write("servers = local\n", path=os.path.join(config_home, "zksync.conf"))
        self.assertEqual(self.origin("servers", XDG_CONFIG_HOME=config_home)[1],
                         f"{config_home}/zksync.conf:1")

    def test_config_shows_all(self):
        self.write("servers = zk1:2181,zk2:2181\nsession-timeout = 1m\n")
        result = self.run_plain("config")
        self.assertEqual((result.code, result.err), (0, ""))
        self.assertIn(f"servers          zk1:2181,zk2:2181  ({self.user_file}:1)\n", result.out)
        self.assertIn(f"session-timeout  1m  ({self.user_file}:2)\n", result.out)
        self.assertIn("root             /  (default)\n", result.out)
        self.assertIn(f"file             {self.user_file}\n", result.out)
        files = self.settings()["files"]
        self.assertEqual(files[0], {"path": self.user_file, "exists": True})
        self.assertEqual(files[1]["path"], "/etc/zksync.conf")
        result = self.run_plain("config", ZKSYNC_SERVERS="")
        self.assertEqual(result.code, 78)
        self.assertIn("servers          -  (ZKSYNC_SERVERS)\n", result.out)

    def test_the_values_are_used(self):
        auth = self.private("auth", "digest:user:password")
        self.outside.ensure_path(self.path)  # With everybody's rights, and the rest with the user's.
        self.outside.add_auth("digest", "user:password")
        self.write(f"servers = {DIRECT}\nroot = {self.path}/team/\nauth-file = {auth}\n"
                   "session-timeout = 7s\nconnect-timeout = 30s\n")
        result = self.run_plain("ping", "--json")
        self.assertEqual(result.json()["session_timeout_ms"], 7000)
        holder = self.start("lock", "/a", "-c", "echo held; cat >/dev/null", env=self.plain(),
                            stdin=subprocess.PIPE)
        holder.await_out("held\n")
        acl, _ = self.outside.get_acls(f"{self.path}/team/a")
        self.assertEqual(acl[0].id.scheme, "digest")
        # The library reads the same settings: root and credentials too.
        run = self.spawn([EXAMPLE, "write", "/a", "0"], env=self.plain())
        self.await_contenders(2, path=f"{self.path}/team/a")
        self.assertFalse(run.ended())
        self.release(holder)
        self.assertEqual(run.wait(), 0, run.err)


class Files(Settings):
    def refused(self, *named):
        for words in (["lock", "/a", "true"], ["config"]):
            result = self.run_plain(*words)
            self.assertEqual(result.code, 78, (named, result.err))
            for text in named:
                self.assertIn(text, result.err)
        self.assertFalse(os.path.exists(self.state))

    def test_lines_that_are_not_valid(self):
        for text, line, named in (
                ("servers local\n", 1, '"servers local"'), ("servers = local\nserver = x\n", 2, '"server"'),
                ("servers = local\nservers = local\n", 2, "line 1"), ("root = \n", 1, "empty"),
                ("root = team\n", 1, '"team"'), ("root = /a//b\n", 1, '"/a//b"'),
                ("session-timeout = soon\n", 1, '"soon"'), ("connect-timeout = 0\n", 1, '"0"'),
                ("auth-file = /no/such\n", 1, "/no/such: No such file"), ("= local\n", 1, '""'),
                ("servers = local\0x\n", 1, "zero byte"), ("servers = local\0x", 1, "zero byte"),
                ("[zksync]\nservers = local\n", 1, '"[zksync]"')):
            self.write(text)
            self.refused(f"{self.user_file}:{line}: ", named)

    def test_lines_that_are_valid(self):
        for text in ("servers=local", "  servers  =  local  \r\n", "#x\n\n \t\n# servers = x\nservers = local\n"):
            self.write(text)
            self.assertEqual(self.origin("servers")[0], "local")
        auth = self.private("with = in it", "digest:user:password")
        self.write(f"servers = local\nauth-file = {auth}\n")
        self.assertEqual(self.origin("auth-file")[0], auth)

    def test_files_that_cannot_be_looked_for(self):
        result = self.run_plain("config", XDG_CONFIG_HOME="/" + "x/" * 600)
        self.assertEqual(result.code, 78)
        self.assertIn("too long", result.err)
        if os.geteuid() != 0:
            self.write("servers = local\n")
            os.chmod(os.path.dirname(self.user_file), 0)
            self.addCleanup(os.chmod, os.path.dirname(self.user_file), 0o700)
            self.refused(f"{self.user_file}: Permission denied")

    def test_files_that_are_not_trusted(self):
        for mode in (0o664, 0o646):
            self.write("servers = local\n", mode=mode)
            self.refused(self.user_file, "chmod go-w")
        os.unlink(self.user_file)
        os.symlink("/no/such/file", self.user_file)
        self.refused(self.user_file, "symbolic link")
        os.unlink(self.user_file)
        os.mkdir(self.user_file)
        self.refused(self.user_file, "not a regular file")
        os.rmdir(self.user_file)
        os.mkfifo(self.user_file)
        self.refused(self.user_file, "not a regular file")
        os.unlink(self.user_file)
        result = self.run_plain("config", ZKSYNC_CONFIG="/no/such")
        self.assertEqual(result.code, 78)
        self.assertIn("ZKSYNC_CONFIG: /no/such: No such file or directory", result.err)
        result = self.run_plain("config", ZKSYNC_CONFIG="")
        self.assertEqual(result.code, 78)
        self.assertIn("ZKSYNC_CONFIG: the value is empty", result.err)

    def test_a_home_without_a_file(self):
        """System users have homes that do not exist, or are no folders."""
        for home in ("/nonexistent", "/dev/null", "/", "", "relative"):
            result = self.run_plain("lock", self.path, "true", HOME=home, ZKSYNC_SERVERS=SERVERS)
            self.assertEqual((result.code, result.err), (0, ""), home)

    def test_a_folder_that_may_not_be_searched(self):
        """Another user's has no file of ours; one's own may have one."""
        if os.geteuid() != 0:
            self.skipTest("a folder of another user takes root")
        as_another = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", ZKSYNC]
        if self.spawn([*as_another, "--version"]).wait() != 0:
            self.skipTest("zksync cannot be run by another user here")
        self.write(f"servers = {SERVERS}\nroot = /mine\n")
        for owner, code, out, err in ((0, 0, "root             /  (default)\n", ""),
                                      (65534, 78, "", f"{self.user_file}: Permission denied")):
            os.chown(self.home, owner, owner)
            os.chmod(self.home, 0o700 if owner == 0 else 0)
            run = self.spawn([*as_another, "config"], env=self.plain(ZKSYNC_SERVERS=SERVERS))
            self.assertEqual(run.wait(), code, run.err)
            self.assertIn(out, run.out)
            self.assertIn(err, run.err)

    def test_the_file_of_another_user(self):
        if os.geteuid() != 0:
            self.skipTest("to give a file to another user takes root")
        self.write("servers = local\n")
        os.chown(self.user_file, 65534, -1)
        self.refused(self.user_file, "belongs to user 65534")

    def test_a_file_that_cannot_be_read(self):
        if os.geteuid() != 0:
            self.write("servers = local\n", mode=0)
            self.refused(f"{self.user_file}: Permission denied", "ZKSYNC_CONFIG")
        else:
            os.symlink("zksync.conf", self.user_file)  # Of root no permission is asked.
            self.refused(f"{self.user_file}: Too many levels of symbolic links", "ZKSYNC_CONFIG")


class Host(Settings):
    """/etc/zksync.conf."""

    def setUp(self):
        super().setUp()
        self.host = HostFile(self.home)
        if reason := self.host.why_not():
            self.skipTest(reason)

    def there(self, *words, **variables):
        """Runs a command where that file is there."""
        run = self.spawn(self.host.command(*words), env=self.plain(**variables))
        return run, run.wait()

    def test_it_needs_nothing_of_the_environment(self):
        """As in cron, under sudo, in a systemd unit, by ssh."""
        self.write(f"servers = {SERVERS}\n", path=self.host.path)
        bare = {"PATH": "/usr/bin:/bin"}
        for program in ([ZKSYNC, "lock", self.path, "--", "echo", "released"],
                        [EXAMPLE, "write", self.path, "0"]):
            run = self.spawn(self.host.command(*program), env=bare, preexec_fn=die_with_parent)
            self.assertEqual(run.wait(), 0, run.err)
            self.assertIn("released", run.out)

    def test_the_users_file_goes_before_it(self):
        self.write("servers = a:1\nroot = /host\n", path=self.host.path)
        self.write("servers = b:2\n")
        run, code = self.there(ZKSYNC, "config")
        self.assertEqual(code, 0, run.err)
        self.assertIn(f"servers          b:2  ({self.user_file}:1)\n", run.out)
        self.assertIn("root             /host  (/etc/zksync.conf:2)\n", run.out)
        self.assertIn("file             /etc/zksync.conf\n", run.out)

    def test_its_credentials_are_not_for_the_users_servers(self):
        """Nor need they be readable then: they can be root's alone."""
        self.write("servers = a:1\nauth-file = /no/such/file\n", path=self.host.path)
        self.assertEqual(self.there(ZKSYNC, "config")[1], 78)
        self.write(f"servers = {SERVERS}\n")
        run, code = self.there(ZKSYNC, "lock", self.path, "true")
        self.assertEqual((code, run.err), (0, ""))
        run, code = self.there(ZKSYNC, "config")
        self.assertEqual((code, run.err), (0, ""))
        self.assertIn("/no/such/file  (/etc/zksync.conf:2, not used for these servers)\n", run.out)

    def test_it_must_be_valid_and_trusted(self):
        self.write("servers = b:2\n")
        self.write("serves = a:1\n", path=self.host.path)
        run, code = self.there(ZKSYNC, "config")
        self.assertEqual(code, 78)
        self.assertIn('/etc/zksync.conf:1: unknown setting "serves"', run.err)
        self.write("servers = a:1\n", path=self.host.path, mode=0o666)
        run, code = self.there(ZKSYNC, "lock", "/a", "true")
        self.assertEqual(code, 78)
        self.assertIn("/etc/zksync.conf: others can write to it", run.err)
        if os.geteuid() == 0:
            os.chmod(self.host.path, 0o644)
            os.chown(self.host.path, 65534, -1)
            run, code = self.there(ZKSYNC, "lock", "/a", "true")
            self.assertEqual(code, 78)
            self.assertIn("/etc/zksync.conf: it belongs to user 65534", run.err)


if __name__ == "__main__":
    main()
