"""The whole stack on one machine: template.yaml in a moto server, and the real handlers behind a local gateway."""
