"""The web page: `python -m deploy.local.web` builds it where it is not fresh, `... npm ARGS` runs npm there, `... browser`
fetches the Chromium of its tests, where we may.

Node.js comes from this machine, else from PyPI into .venv. Stamps remember from what was installed and built, so
that nothing is done twice. WEB=0 goes without the page: the gateway then says so at its place.
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from deploy.local import install
from deploy.local.process import StartError
from deploy.local.servers import CHECKOUT

WEB = CHECKOUT / "web"
BUILT = WEB / "dist"
LOCK = ("package.json", "package-lock.json", ".npmrc")
OLDEST_NODE = (20, 19)
VENV_BIN = Path(sys.executable).parent


def prepare() -> None:
    """Install what the lock says and build the page, each only where something changed."""
    install_packages()
    stamp = WEB / "node_modules" / ".built"
    wanted = _digest(_sources())
    if (BUILT / "index.html").exists() and _read(stamp) == wanted:
        return
    _say("building the page")
    _quietly(["npm", "run", "build"])
    stamp.write_text(wanted)


def install_packages(folder: Path = WEB) -> None:
    """`npm ci`, where the lock changed since the last time."""
    stamp = folder / "node_modules" / ".installed"
    wanted = _digest(folder / name for name in LOCK)
    if _read(stamp) == wanted:
        return
    _say(f"installing the locked packages into {folder.relative_to(CHECKOUT)}/node_modules")
    _quietly(["npm", "ci", "--no-progress"], folder)
    stamp.write_text(wanted)


def npm(arguments: list[str]) -> int:
    """Run npm in the page's folder, and return its exit code."""
    return subprocess.run(["npm", *arguments], cwd=WEB, env=environment(), check=False).returncode


def environment() -> dict[str, str]:
    """Ours, with a Node.js that is new enough on PATH."""
    path = os.environ.get("PATH", os.defpath)
    if not _is_usable(path):
        path = f"{VENV_BIN}{os.pathsep}{path}"
        if not _is_usable(path):
            _fetch_node()
    return {**os.environ, "PATH": path}


def _is_usable(path: str) -> bool:
    node = shutil.which("node", path=path)
    if node is None or shutil.which("npm", path=path) is None:
        return False
    answer = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout
    version = re.match(r"v(\d+)\.(\d+)\.", answer)
    return version is not None and (int(version[1]), int(version[2])) >= OLDEST_NODE


def _fetch_node() -> None:
    _say("fetching Node.js from PyPI into .venv, since this machine has none that is new enough")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "-qq"]
    lock = CHECKOUT / "requirements-node.lock"
    done = subprocess.run([*pip, "--require-hashes", "-r", lock], capture_output=True, text=True, check=False)
    if done.returncode:
        least = ".".join(map(str, OLDEST_NODE))
        raise StartError(
            f"{done.stderr.strip()}\n\nThe web page needs Node.js {least} or newer with npm to be built. "
            "Install it, or go without the page: WEB=0 make run"
        )


def _quietly(command: list[str], folder: Path = WEB) -> None:
    """Its output is for the day that it fails."""
    done = subprocess.run(
        command, cwd=folder, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    if done.returncode:
        last = "\n".join(done.stdout.splitlines()[-30:])
        raise StartError(f"`{' '.join(command)}` failed in {folder}:\n{last}")


def _sources() -> Iterable[Path]:
    yield from (WEB / name for name in LOCK)
    yield from sorted(path for path in WEB.iterdir() if path.is_file() and path.suffix in {".html", ".json", ".ts"})
    for folder in ("public", "scripts", "src"):
        yield from sorted(path for path in (WEB / folder).rglob("*") if path.is_file())


def _digest(files: Iterable[Path]) -> str:
    digest = hashlib.sha256(str(WEB).encode())  # a checkout that was moved starts anew
    for file in files:
        digest.update(f"\0{file}\0".encode() + file.read_bytes())
    return digest.hexdigest()


def _read(stamp: Path) -> str | None:
    return stamp.read_text() if stamp.exists() else None


def _say(text: str) -> None:
    print(f"setup: {text}", file=sys.stderr, flush=True)


def main() -> None:
    if os.environ.get("WEB") == "0":
        return
    try:
        if sys.argv[1:2] == ["npm"]:
            install_packages()
            sys.exit(npm(sys.argv[2:]))
        if sys.argv[1:2] == ["browser"]:
            install.chromium()  # where there is none after this, the tests say so and are skipped
            return
        prepare()
    except StartError as failure:
        print(f"\n{failure}", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
