"""What monitoring measured over time, for people: the page of a use case (docs/monitoring.md)."""
