"""values.yaml, values.schema.json and the README's table from values.py; `--check` fails when one of them is stale."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from deploy.helm.values import Chart
from services.gateway.settings import Settings as Gateway
from services.notifier.settings import Settings as Notifier
from services.persister.settings import Settings as Persister
from services.settings import ServiceSettings

CHART = Path(__file__).with_name("palabre")
TABLE_STARTS = "| value | default | what |\n|---|---|---|\n"
# Settings that the chart or the images set: what sets each of them, which then is the one place for it.
SET_ELSEWHERE = {
    "amqp_url": "rabbitmq",
    "mongodb_url": "mongodb",
    "mongodb_database": "mongodb.database",
    "prefix": "prefix",
    "partitions": "partitions",
    "shutdown_timeout": "shutdownSeconds",
    "traces": "traces.endpoint",
    "traces_ratio": "traces.ratio",
    "jwt_secret": "auth.jwtSecret or auth.existingSecret",
    "jwt_jwks_url": "auth.jwksUrl",
    "jwt_issuer": "auth.issuer",
    "jwt_audience": "auth.audience",
    "allowed_origins": "auth.allowedOrigins",
    "host": "the image",
    "port": "the image",
    "http_port": "the image",
}


def main() -> None:
    stale = [path for path, text in files().items() if not path.exists() or path.read_text() != text]
    if "--check" in sys.argv[1:]:
        for path in stale:
            print(f"{path} is stale: run python -m deploy.helm.generate", file=sys.stderr)
        sys.exit(1 if stale else 0)
    for path in stale:
        path.write_text(files()[path])


def files() -> dict[Path, str]:
    """What each generated file has to hold."""
    readme = (CHART / "README.md").read_text()
    return {
        CHART / "values.yaml": "# Generated from deploy/helm/values.py, where each value is described once.\n"
        + "\n".join(_yaml(Chart(), 0))
        + "\n",
        CHART / "values.schema.json": json.dumps(schema(), indent=1, ensure_ascii=False) + "\n",
        CHART / "README.md": readme[: readme.index(TABLE_STARTS)] + TABLE_STARTS + "".join(_rows(Chart(), "")),
    }


def schema() -> dict[str, Any]:
    """JSON Schema of values.yaml, of the draft that every helm knows. A parent chart may pass `global` to every chart."""
    made = _plain(Chart.model_json_schema())
    made["properties"]["global"] = {"type": "object"}
    services: dict[str, type[ServiceSettings]] = {"Gateway": Gateway, "Persister": Persister, "Notifier": Notifier}
    for owner, readers in ((made, list(services.values())), *((made["$defs"][n], [s]) for n, s in services.items())):
        config = owner["properties"]["config"]
        del config["patternProperties"]
        fields = {name: field for reader in readers for name, field in reader.model_fields.items()}
        config["properties"] = {name.upper(): _setting(name, fields[name]) for name in sorted(fields)}
        config["additionalProperties"] = False
    return {"$schema": "http://json-schema.org/draft-07/schema#", **made}


def _setting(name: str, field: FieldInfo) -> dict[str, Any]:
    """What `config` may say of a setting. A refusal is a `const`, for helm prints what that is, and no `description`."""
    if name in SET_ELSEWHERE:
        return {"const": f"nothing here: {SET_ELSEWHERE[name]} sets it"}
    if SecretStr in (field.annotation, *get_args(field.annotation)):
        return {"const": "nothing here: it is a secret, and belongs into a Secret that existingSecret names"}
    return {"type": ["string", "number", "boolean"]}


def _plain(node: Any) -> Any:
    """Without the titles that pydantic makes up and the defaults that values.yaml has."""
    if isinstance(node, list):
        return [_plain(item) for item in node]
    if not isinstance(node, dict):
        return node
    plain = {}
    for name, value in node.items():
        if name in {"title", "default"} and not isinstance(value, dict):
            continue
        if name == "default":
            continue
        # A property may have any name, as `default`.
        plain[name] = {k: _plain(v) for k, v in value.items()} if name in {"properties", "$defs"} else _plain(value)
    return plain


def _yaml(values: BaseModel, depth: int) -> Iterator[str]:
    indent = "  " * depth
    for name, field in type(values).model_fields.items():
        value = getattr(values, name)
        alias = field.serialization_alias
        yield f"{indent}# {field.description}"
        if isinstance(value, BaseModel):
            yield f"{indent}{alias}:"
            yield from _yaml(value, depth + 1)
        elif isinstance(value, dict) and value:
            yield f"{indent}{alias}:"
            for key, item in value.items():
                yield f"{indent}  {key}: {json.dumps(item)}"
        else:
            yield f"{indent}{alias}: {json.dumps(value)}"
        if depth == 0:
            yield ""


def _rows(values: BaseModel, path: str) -> Iterator[str]:
    for name, field in type(values).model_fields.items():
        value = getattr(values, name)
        full = f"{path}{field.serialization_alias}"
        if isinstance(value, BaseModel):
            yield from _rows(value, f"{full}.")
        else:
            yield f"| `{full}` | `{json.dumps(value)}` | {field.description} |\n"


if __name__ == "__main__":
    main()
