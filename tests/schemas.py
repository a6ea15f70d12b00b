"""The schemas of answers and events allow further fields; the tests allow none that is not documented."""

import jsonschema
import yaml

from tests.system import ROOT

DOCUMENT = yaml.safe_load((ROOT / "functions" / "portal" / "openapi.yaml").read_text())


def closed(schema):
    """Return a schema or a document of schemas in which objects have no other fields than the documented ones."""
    match schema:
        case {"properties": dict()}:
            schema = {"additionalProperties": False} | schema
        case list():
            return [closed(each) for each in schema]
    if isinstance(schema, dict):
        return {name: closed(each) for name, each in schema.items()}
    return schema


def validate(value, name):
    """Check that a value is as a schema of the OpenAPI document says, and has no other fields."""
    schema = {"$ref": f"#/components/schemas/{name}", "components": closed(DOCUMENT["components"])}
    _OpenApiValidator(schema).validate(value)


def _type(validator, types, value, schema):
    if value is not None or not schema.get("nullable"):
        yield from jsonschema.Draft4Validator.VALIDATORS["type"](validator, types, value, schema)


_OpenApiValidator = jsonschema.validators.extend(jsonschema.Draft4Validator, {"type": _type})
