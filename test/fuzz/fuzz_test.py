#!/usr/bin/python3
# For tools/run-tests. zksync-test: takes long
"""Runs each fuzzer beside this program: through its kept corpus and then on from there.

ZKSYNC_FUZZ_SECONDS says for how long (20). With ZKSYNC_FUZZ_KEEP=1 what is new is kept in the corpus.
"""

import glob
import os
import subprocess
import sys
import tarfile
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
SOURCE = os.path.join(os.path.dirname(os.path.realpath(__file__)), "corpus")
SECONDS = os.environ.get("ZKSYNC_FUZZ_SECONDS") or "20"
LENGTH_MAX = "2048"


def comment(text):
    for line in text.splitlines():
        print("#", line)


def unpack(name, folder):
    """What is kept of earlier runs."""
    kept = os.path.join(SOURCE, name + ".tar.xz")
    if os.path.exists(kept):
        with tarfile.open(kept) as archive:
            archive.extractall(folder)


def keep(program, name, folder, corpus):
    """The smallest inputs that show as much as all of them do."""
    smallest = os.path.join(folder, "smallest")
    os.makedirs(smallest)
    subprocess.run([program, "-merge=1", smallest, corpus], stderr=subprocess.DEVNULL, check=True)
    os.makedirs(SOURCE, exist_ok=True)
    with tarfile.open(os.path.join(SOURCE, name + ".tar.xz"), "w:xz") as archive:
        for entry in sorted(os.listdir(smallest)):
            info = tarfile.TarInfo(entry)
            info.size = os.path.getsize(os.path.join(smallest, entry))
            with open(os.path.join(smallest, entry), "rb") as stream:
                archive.addfile(info, stream)


def fuzz(program, folder):
    """Whether nothing was found; what is found is told, with the input."""
    name = os.path.basename(program)[len("fuzz_"):]
    corpus = os.path.join(folder, "corpus")
    os.makedirs(corpus)
    unpack(name, corpus)
    command = [program, f"-max_total_time={SECONDS}", f"-max_len={LENGTH_MAX}", "-timeout=25",
               "-rss_limit_mb=1024", "-print_final_stats=1", f"-artifact_prefix={folder}/", corpus]
    result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                            errors="replace", check=False)
    if result.returncode != 0:
        comment(result.stdout[-6000:])
        for path in glob.glob(f"{folder}/*-*"):
            with open(path, "rb") as stream:
                comment(f"{os.path.basename(path)}: {stream.read().hex()}")
        return False
    comment("\n".join(line for line in result.stdout.splitlines()
                      if line.startswith(("stat::number", "Done"))))
    if os.environ.get("ZKSYNC_FUZZ_KEEP"):
        keep(program, name, folder, corpus)
    return True


def main():
    programs = sorted(path for path in glob.glob(os.path.join(HERE, "fuzz_*")) if os.access(path, os.X_OK))
    failed = 0
    print(f"1..{len(programs)}", flush=True)
    for number, program in enumerate(programs, 1):
        with tempfile.TemporaryDirectory(prefix="zksync-fuzz-") as folder:
            good = fuzz(program, folder)
        failed += not good
        print(f"{'ok' if good else 'not ok'} {number} - {os.path.basename(program)}", flush=True)
    return 1 if failed or not programs else 0


if __name__ == "__main__":
    sys.exit(main())
