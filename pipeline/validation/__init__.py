"""Statistics, schema and validation of the raw examples: anomalies stop the run before Transform."""
