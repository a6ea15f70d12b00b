"""The replacing of a model, played from its trial to its rollback in the world of `make run`: `make rehearse`."""
