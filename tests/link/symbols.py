#!/usr/bin/env python3
"""symbols.py pure ARCHIVE            an archive of pure code asks the system for nothing: no clock, thread, file
   symbols.py without WORDS PROGRAM    a program contains and asks for no symbol with one of the words (comma-separated)
   symbols.py needs-no WORDS PROGRAM   a program and the libraries that it loads need no library with one of the words

Prints what is wrong; exit status 1 if anything is."""
import re
import subprocess
import sys

SYSTEM = re.compile(
    r"^(open|open64|openat|creat|fopen|fopen64"
    r"|read|write|pread|pwrite|pread64|pwrite64|mmap|mmap64|socket|connect|bind|listen|accept|accept4"
    r"|send|sendto|sendmsg|recv|recvfrom|recvmsg"
    r"|poll|epoll_\w+|fork|execv\w*|kill|getenv|secure_getenv|setenv|time|gettimeofday|clock_gettime|clock"
    r"|nanosleep|usleep|sleep|rand|random|getrandom|getpid|gethostname"
    r"|pthread_create|std::thread::.*|std::random_device::.*"
    r"|std::chrono::_V2::\w+::now\(\)|std::basic_[io]?f(stream|ilebuf)<.*|std::filesystem::.*)(@.*)?$")


def output(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True, errors="replace").stdout


def pure(archive):
    member = ""
    for line in output("nm", "-C", "--undefined-only", archive).splitlines():
        if line.endswith(".o:"):
            member = line[:-1]
        found = re.match(r"\s*U (.*)", line)
        if found and SYSTEM.match(found[1]):
            yield f"{member} asks for {found[1]}"


def without(words, program):
    for line in output("nm", "-C", program).splitlines():
        name = line.split(maxsplit=2)[-1] if re.match(r"[0-9a-f]{8,} ", line) else line.strip().split(maxsplit=1)[-1]
        for word in words.split(","):
            if name.startswith(word) or f" {word}" in name or f"<{word}" in name or f"({word}" in name:
                yield f"{program} contains {name}"


def needs_no(words, program):
    for line in output("ldd", program).splitlines():
        library = line.strip().split(" ")[0]
        for word in words.split(","):
            if word in library:
                yield f"{program} needs {library}"


if __name__ == "__main__":
    checks = {"pure": pure, "without": without, "needs-no": needs_no}
    if len(sys.argv) < 3 or sys.argv[1] not in checks:
        sys.exit(__doc__)
    wrong = list(checks[sys.argv[1]](*sys.argv[2:]))
    print("\n".join(wrong[:20]))
    sys.exit(1 if wrong else 0)
