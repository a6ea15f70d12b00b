"""The replacing of a model, played from drift to its rollback in the world of `make run`: `make rehearse`."""
