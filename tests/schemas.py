"""The schemas of answers and events allow further fields; the tests allow none that is not documented."""


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
