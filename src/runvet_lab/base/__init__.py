"""What the labs share: configuration, devices, metric logs, and the table that judges every configuration."""
