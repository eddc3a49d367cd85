"""The dashboard, as questions that an operator asks: `python -m deploy.grafana` writes its JSON."""
