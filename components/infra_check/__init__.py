"""Infra gate: serves the exact folder to be pushed and queries it over sockets before a push."""
