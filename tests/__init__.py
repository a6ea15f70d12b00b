"""A package, so that no installed one of this name (smdebug-rulesconfig brings one) comes first."""
