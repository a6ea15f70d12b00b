"""A rehearsal of replacing a model, from drift to rollback, in the local stack: `make rehearse`."""
