"""The whole stack on one machine: template.yaml in a moto server, the real handlers behind a gateway."""
