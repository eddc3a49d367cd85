"""`python -m deploy.images`: build the images, and write what is in them to .run/images as CycloneDX documents.

TAG names the version (else that of pyproject.toml), IMAGE_PREFIX what stands before the service's name, PYTHON_IMAGE the
base, CA_BUNDLE the authorities of a network that intercepts HTTPS (else those that PIP_CERT names), and
DOCKER_BUILD_ARGS whatever else `docker build` is to be given, as `--network=host`.
"""

import os
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path

from deploy.local.servers import CHECKOUT, run_dir

SERVICES = ("gateway", "persister", "notifier")


def main() -> None:
    if shutil.which("docker") is None:
        sys.exit("`make images` needs Docker, and there is none on this machine.")
    documents = run_dir() / "images"
    tags = names(os.environ)
    for service, tag in tags.items():
        build(service, f"--tag={tag}")
    build("sbom", f"--output=type=local,dest={documents}")
    print(*tags.values(), f"What is in them: {documents}/*.cdx.json", sep="\n")


def names(environment: Mapping[str, str]) -> dict[str, str]:
    """The full name of each service's image."""
    prefix = environment.get("IMAGE_PREFIX") or "palabre-"
    tag = environment.get("TAG") or version()
    return {service: f"{prefix}{service}:{tag}" for service in SERVICES}


def version() -> str:
    """Of this checkout."""
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]
    return str(project["version"])


def build(target: str, *options: str) -> None:
    """One target of the Dockerfile; ends the process where that fails, for its output says why."""
    command = ["docker", "build", "--file=deploy/Dockerfile", f"--target={target}", *options, *arguments(os.environ)]
    print(f"Building {target}", flush=True)
    done = subprocess.run([*command, "."], cwd=CHECKOUT, env={**os.environ, "DOCKER_BUILDKIT": "1"}, check=False)
    if done.returncode:
        sys.exit(done.returncode)


def arguments(environment: Mapping[str, str]) -> list[str]:
    """What every target is built with."""
    given = [f"--build-arg=VERSION={version()}", f"--build-arg=REVISION={revision()}"]
    if base := environment.get("PYTHON_IMAGE"):
        given.append(f"--build-arg=PYTHON_IMAGE={base}")
    bundle = environment.get("CA_BUNDLE") or environment.get("PIP_CERT")
    if bundle and Path(bundle).is_file():
        given.append(f"--secret=id=ca_bundle,src={bundle}")
    return [*given, *shlex.split(environment.get("DOCKER_BUILD_ARGS", ""))]


def revision() -> str:
    """The commit, and whether there is more than that; `unknown` outside of a repository."""
    described = subprocess.run(
        ["git", "describe", "--always", "--abbrev=40", "--exclude=*", "--dirty"],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=False,
    )
    return described.stdout.strip() or "unknown"


if __name__ == "__main__":
    main()
